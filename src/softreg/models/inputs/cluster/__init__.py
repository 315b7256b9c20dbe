"""Training rows on a cluster: batches that workers read, and Dask collections.

May import the rest of `models/inputs` except `training_rows.py`.
"""
