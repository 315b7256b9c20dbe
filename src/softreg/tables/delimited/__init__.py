"""Delimited text files: encoding, delimiter, header, comments and footnotes, and the rows as Arrow batches.

The package imports `columns` and `read_options`. A new rule about lines goes to `file_layout` or
`dialect_detection`, an encoding to `encoding_detection`, an error about a row to `csv_reader` or `csv_records`.
"""
