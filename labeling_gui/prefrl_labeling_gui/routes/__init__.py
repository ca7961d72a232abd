"""What is served under which address, and to whom."""
