"""The method of a fitted table classifier that returns its terms as functions."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import pyarrow as pa

from softreg.models import SoftmaxRegression
from softreg.models.inputs.sample_and_class_weights import sample_weights
from softreg.tables.columns.table_errors import TableError
from softreg.tables.encode.encoder import Encoder
from softreg.tables.fit.stored_intervals import StoredIntervals
from softreg.tables.fit.terms.functions.node_shares import NodeShares, TermNodes, batches
from softreg.tables.fit.terms.functions.term_functions import ClassContrasts, TermFunctions, functions_of
from softreg.typing import Float64Array


class FittedFunctions:
    """The part of `TableClassifier` that describes its terms.

    Attributes
    ----------
    term_shares_ : array of float64 or None
        Shares of the training rows at the nodes of curves, levels and interactions, by which functions are centred.

    Examples
    --------
    >>> from softreg import TableClassifier
    >>> issubclass(TableClassifier, FittedFunctions)
    True
    """

    encoder_: Encoder
    model_: SoftmaxRegression
    intervals_: StoredIntervals | None
    term_shares_: Float64Array | None = None

    @abstractmethod
    def _check_fitted(self) -> None: ...

    @abstractmethod
    def _table(self, data: Any) -> pa.Table: ...

    def term_functions(self, data: Any = None, *, sample_weight: Any = None, level: float = 0.95) -> TermFunctions:
        """Return the contribution of each column and interaction to the logits as a function, with its interval.

        The logits are `bias + sum of the functions` in every row. Each function has the mean 0 over the training rows.
        The means of an interaction over the rows at each node of one column are part of the function of that column
        (the interaction is purified). A curve includes its linear part.

        Parameters
        ----------
        data : path, pyarrow.Table, data frame or array, optional
            Rows over which functions are centred, such as the training rows. By default the distribution of the
            training rows that a model with curves or interactions keeps.
        sample_weight : array-like (n,), optional
            Weights of these rows.
        level : float, default 0.95
            Level of the pointwise intervals. There are intervals where the model keeps the covariance of its weights:
            after `keep_intervals`, or with `keep_posterior=True`.

        Returns
        -------
        TermFunctions
            The functions, a sequence of `TermFunction`.

        Raises
        ------
        TableError
            If no rows are given and the model keeps no distribution of the training rows.
        ValueError
            If the level is not between 0 and 1.

        References
        ----------
        Lengerich et al. (2020), Purifying interaction effects with the functional ANOVA, AISTATS.

        Examples
        --------
        >>> import pyarrow as pa
        >>> from softreg.tables import TableClassifier
        >>> table = pa.table({"age": [20, 60, 25, 55], "buys": ["no", "yes", "no", "yes"]})
        >>> age = TableClassifier("buys", strength=0.1).fit(table).term_functions(table).function("age")
        >>> age.axes[0].labels, (age.logits[:2, 0] > 0).tolist()
        (('20', '60', '(missing)'), [False, True])
        """
        self._check_fitted()
        if not 0 < level < 1:
            raise ValueError(f"level={level!r} must be between 0 and 1, such as 0.95.")
        nodes = TermNodes(self.encoder_)
        if data is not None:
            table = self._table(data)
            weight = None if sample_weight is None else sample_weights(sample_weight, table.num_rows)
            shares = NodeShares.of(nodes, batches(table), weight)
        elif self.term_shares_ is None:
            raise TableError(
                "The model keeps no distribution of its training rows, by which the functions of columns are centred: "
                "pass a table of rows, such as that of the fit, term_functions(table)."
            )
        else:
            shares = NodeShares.from_flat(nodes, self.term_shares_)
        distribution, errors = self._weight_distribution()
        contrasts = ClassContrasts.of(
            self.model_.classes_.tolist(), self.model_.coef_, self.model_.intercept_, distribution
        )
        return functions_of(nodes, shares, contrasts, self._table, level=level, intervals=errors)

    def _weight_distribution(self) -> tuple[Any, str]:
        """Return the distribution of the weights that the model keeps, and the kind of its errors; None and ""."""
        from softreg.models.inference.margins.row_logits import ParameterDistribution

        if self.intervals_ is not None:
            return self.intervals_.distribution, self.intervals_.errors
        if self.model_._posterior is not None:
            return ParameterDistribution.of_posterior(self.model_.posterior()), "posterior"
        return None, ""
