"""The likelihood of softmax regression on given rows, Firth's penalised fit, and separation by linear programmes.

It imports `models.inputs` and lower packages. The exact maximum and score products are in `likelihood.py`, the test for
separated classes is in `separation_lp.py`, and `firth_fit.py` is the fit behind `penalty="firth"`.
"""
