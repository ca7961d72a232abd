"""The labelling page: clips side by side in a browser, and the answers of people."""

__version__ = "0.1.0"
