"""Which rows of a table are used, and how they are split: missing labels or values, rare classes, weights, groups, time.

It may import `tables.columns`, `formats`, `io` and `schema`. A new way to split goes to a file of its own beside
`stratified_splits`, `group_splits` and `time_splits`.
"""
