"""Rows that are used, and splits: missing labels or values, rare classes, weights, groups, times and splits.

It may import `tables.columns`, `formats`, `io` and `schema`. A new way to split goes to `softreg.splits`, with a line
in `table_splits`; how a column of groups or times is read, to `group_codes` and `time_codes`.
"""
