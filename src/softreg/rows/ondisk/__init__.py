"""Rows that do not fit in memory: scratch files, arrays in them, and the backend that reads them block by block.

May import `memory` and `kernels`. A change of the layout on disk goes here.
"""
