"""Data files: formats and compressions, their bytes, record batches of Parquet and Arrow files, copies of pipes.

A leaf beside `softreg.atomic_files`: `open_rows` and tables both use it, and each states errors in its own words. A
format or compression goes to `formats`; how its bytes are read, to `streams`; a typed format, to `typed_files`.
"""
