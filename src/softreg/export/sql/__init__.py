"""Programs as one SELECT statement in SQL, for DuckDB, PostgreSQL and SQLite.

`syntax` is the interface of a dialect, `dialects` holds one file for each; `expressions` holds expressions of all
dialects, `stages` the chain of subqueries, `input_columns` to `step_stages` what each stage computes, and `query` the
statement. It may import `export.program` and `export.export_errors`; a new kind of column is a function in
`input_columns` and one in `feature_columns`.
"""
