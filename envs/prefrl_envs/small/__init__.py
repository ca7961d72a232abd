"""Small tasks, for minutes and for tests."""
