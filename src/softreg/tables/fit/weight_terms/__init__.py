"""Columns without penalty, bounds and priors of a table model, as parameters of its regression.

The modules import the other packages of `tables` and `tables.fit`. A new option of single columns goes into
`column_constraints`.
"""
