"""Training rows on a cluster: batches that workers read, Parquet files, and Dask collections.

May import the rest of `models/inputs` except `training_rows.py`.
"""
