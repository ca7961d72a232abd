"""The published tables of learning quality: their runs, what came of them, and the pages made of that.

`python -m benchmarks.tables NAME` makes one; what each file here is about, its name says.
"""
