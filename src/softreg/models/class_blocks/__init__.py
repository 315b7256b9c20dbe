"""Predictions and scores of models of many classes, from blocks of rows and classes, never from an array (n, q).

`logit_blocks` computes the logits of a block; the other files hold reductions over the blocks: the normalizer of the
softmax and its moments, the most likely classes, chosen classes, sums over the rows of each class, and the scores of an
evaluation. It imports `rows` and `probability` alone, so that predictions of tables stay free of scikit-learn. A new
quantity of the rows is a new reduction.
"""
