"""The labelling page: clips side by side in a browser, and the answers of people.

Nothing is imported here: this runs before `__main__` has seen to it that the working directory hides no module.
"""

__version__ = "0.1.0"
