"""Input and output of tables: files, containers, data frames and arrays to Arrow tables, and predictions to files.

The package imports `columns`, `delimited`, `json_files` and `read_options`. A new file format goes to
`softreg.files.formats` and to `file_readers`, a new container to `containers`, an in-memory form to `dataframes` or
`numpy_arrays`.
"""
