"""Options of `softreg train` that request terms: curves, interactions, pooled categories.

Imports `cli.options.column_arguments`. The options are in `term_arguments`, which imports no table, and the columns
that their values name in `requested_terms`.
"""
