"""Content of the report of a command: from a table and a fitted model to `softreg.report.ReportData`.

The package may import `cli.console`, `cli.options` and `cli.data`.
"""
