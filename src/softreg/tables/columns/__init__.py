"""Columns of a table as Arrow arrays: types, missing values, dates, column names, row locations and `TableError`.

The package imports the leaves of softreg (`spelling`, `value_keys`, `typing`) only. A new Arrow type goes to
`arrow_types`, a spelling of a missing value to `missing_values`, a date format to `date_parsing`.
"""
