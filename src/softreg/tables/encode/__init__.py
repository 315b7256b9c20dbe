"""Encoders: the columns of a table, by their kinds, to the matrix X of the model.

It may import `tables.columns`, `formats`, `io` and `schema`. A change of how one kind of column becomes features goes
to the file of that kind, which has the encoder and its fitter; `encoder` has what all columns share, and
`column_fitters` chooses the fitter.
"""
