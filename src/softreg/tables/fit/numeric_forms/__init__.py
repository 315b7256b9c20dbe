"""Choice of the form of heavy-tailed columns of numbers: linear, normal scores, or both.

The rules of the choice belong in `choose_numeric_form`, the fits to folds in `numeric_form_cv`.
"""
