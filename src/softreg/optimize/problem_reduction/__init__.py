"""Smaller problems that are solved in place of a given one: the space of the rows, and working sets of columns.

It may import all packages of `optimize` but `plan` and those after it. A further reduction is a file here, and a rule
with a `Transform` in `plan`.
"""
