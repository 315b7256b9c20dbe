"""Cross-validation of many classes, one fold after the other, within the memory of a few models.

It imports the files of `selection` that hold the path, its scores and its grid. `sequential_folds` fits and scores the
folds at a strength, `sequential_search` walks along the strengths.
"""
