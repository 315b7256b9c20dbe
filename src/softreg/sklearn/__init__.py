"""The bridge to scikit-learn: its `LogisticRegression` with certified optima, and conversions of fitted models.

It may import `models` and the packages below it. `LogisticRegression` has the parameters, attributes and methods of
`sklearn.linear_model.LogisticRegression`; `from_sklearn` and `to_sklearn` exchange fitted weights without a fit.
"""

from __future__ import annotations

from softreg.sklearn.conversion import from_sklearn, to_sklearn
from softreg.sklearn.logistic_regression import LogisticRegression

__all__ = ["LogisticRegression", "from_sklearn", "to_sklearn"]
