"""Choice and fit of the terms of a table: curves, interactions and pooled levels, each with its own strength.

Imports the encoders and `models`. What a user may request belongs in `term_options`, the term of each feature in
`term_layout`, candidates for curves and interactions in `candidate_terms`, the search on an array in `term_search`, the
rows for it in `term_problem`, the choice between models by held-out rows in `choose_terms`, what is stored of it in
`term_record`, the parameters of the exact fit in `fit_terms`, tests of the terms of a fitted model in `term_tests`, and
its functions for display in `functions`.
"""
