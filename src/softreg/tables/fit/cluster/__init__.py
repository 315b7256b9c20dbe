"""Training on a table in Parquet files whose rows are read, counted and encoded by worker processes.

It may import the other packages of `tables` and `tables.fit`. What is computed in a pass goes to `fragment_tasks`, the
scan to `fragment_scan`, and the passes of a fit to `fragment_passes`.
"""
