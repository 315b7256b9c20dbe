"""Terms of a table beyond one feature a column: smooth curves of numbers, and interactions of two columns.

Imports the encoders of columns. The shape of curves belongs in `curve_basis`, a column of numbers with a curve in
`curve_encoder`, two columns together in `pair_encoder`.
"""
