"""Held-out probabilities of the linear model of a table, with which models with terms are compared."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from softreg.tables.fit.choose_strength import fit_at_strength
from softreg.tables.fit.terms.fitted_parts import FittedParts, TermSample
from softreg.tables.fit.weight_terms.column_constraints import bounds_of_classes
from softreg.typing import Float64Array, IntArray

TOL = 1e-4
"""Tolerance of the fits to folds, in nats."""


class LinearTrial:
    """Fits of the linear model, at its strength, to folds.

    Parameters
    ----------
    linear : FittedParts
        The linear model.
    sample : TermSample
        Rows.
    settings : mapping
        Parameters of the regression.
    offset : array of float64 (n, q) or None
        Fixed part of the logits of the rows.
    """

    def __init__(
        self, linear: FittedParts, sample: TermSample, settings: Mapping[str, Any], offset: Float64Array | None
    ) -> None:
        self.linear, self.sample, self.offset = linear, sample, offset
        tried = {"strength": linear.model.strength, "verbose": 0, "keep_posterior": False}
        self.settings = {**settings, **tried, "tol": max(TOL, settings["tol"])}

    @cached_property
    def _X(self) -> Any:
        """The encoded rows."""
        return self.linear.encoder.encode(self.sample.table, self.sample.rows)

    def probabilities(self, train: IntArray, test: IntArray) -> Float64Array:
        """Return the probabilities (k, q) of test rows by the model that is fitted to training rows.

        Parameters
        ----------
        train, test : array of int
            Numbers of the rows in the sample.

        Returns
        -------
        array of float64 (k, q)
            Probabilities; 0 for a class without training rows.
        """
        part, classes = self.sample.take(train), self.linear.model.classes_
        known = np.unique(part.y)
        names = np.array(self.linear.encoder.feature_names_out, dtype=object)
        rows: dict[str, Any] = {"weight": part.weight, "offsets": part.offsets}
        model = fit_at_strength(bounds_of_classes(self.settings, known), self._X[train], part.y, names, **rows)
        place = np.searchsorted(classes, known)
        of_test = None if self.offset is None else self.offset[test][:, place]
        P = np.zeros((len(test), len(classes)))
        P[:, place] = model.predict_proba(self._X[test], of_test)
        return P
