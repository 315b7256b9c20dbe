"""Statistics of a table: design matrices of columns or formulas, fits without a penalty, and their results.

It may import all other packages of `tables` except `fit` and `classifier`. What a formula may contain goes to
`formula`, the coding of columns to `design_matrix`, and what the result shows to `statistics_result`.
"""
