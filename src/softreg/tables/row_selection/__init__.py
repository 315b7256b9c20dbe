"""Rows that are used, and splits: missing labels or values, rare classes, weights, stratified, group and time splits.

It may import `tables.columns`, `formats`, `io` and `schema`. A new way to split goes to a file of its own beside
`stratified_splits`, `group_splits` and `time_splits`.
"""
