"""Training rows on a cluster: the batches that workers hold, with the classes, weights and columns of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from softreg.models.inputs.class_collector import ClassCollector, offset_column_order
from softreg.models.inputs.cluster.fragmented_batches import (
    BatchFacts,
    DescribeBatch,
    FragmentedBatches,
    LabelledFragment,
    ValidatedFragment,
)
from softreg.models.inputs.labels import check_classes
from softreg.models.inputs.sample_and_class_weights import class_weights, rescale_extreme_weights
from softreg.probability.label_arrays import kind_of
from softreg.rows.cluster.cluster_rows import ClusterRows
from softreg.typing import Array, IntArray

MAX_FRAGMENTS = 1 << 23
"""Most batches of a fit: the numbers of fragments have 24 bits."""


def cluster_rows(estimator: Any, source: FragmentedBatches, class_weight: Any) -> tuple[ClusterRows, Array]:
    """Return the rows of batches on workers, and their classes.

    Parameters
    ----------
    estimator : estimator
        Receives the number and the names of the features.
    source : FragmentedBatches
        The batches.
    class_weight : None, "balanced" or dict
        Weights of the classes.

    Returns
    -------
    rows : ClusterRows
        Rows on the workers.
    classes : ndarray of shape (q,)
        The classes, sorted.

    Raises
    ------
    ValueError
        If a batch cannot be used or differs from the others; the message names it.
    """
    found = _Batches.read(source)
    estimator.n_features_in_ = found.facts[0].d
    if found.facts[0].names is not None:
        estimator.feature_names_in_ = np.array(found.facts[0].names, dtype=object)
    elif hasattr(estimator, "feature_names_in_"):
        del estimator.feature_names_in_
    fragments, classes = found.labelled(class_weight)
    rows = ClusterRows(fragments, source.engine)
    source.engine.release(found.validated)  # workers hold the numbers once, with the labels of the fit
    return rows, classes


class _Batches:
    """The batches with rows, and the facts about them."""

    def __init__(self, validated: Sequence[ValidatedFragment], facts: Sequence[BatchFacts]) -> None:
        with_rows = [k for k, fact in enumerate(facts) if fact.n]
        self.validated, self.fragments = validated, [validated[k] for k in with_rows]
        self.facts = [facts[k] for k in with_rows]

    @classmethod
    def read(cls, source: FragmentedBatches) -> _Batches:
        """Let the workers read the batches; raise `ValueError` where they do not fit together."""
        if not source.fragments:
            raise ValueError("there are no batches, so there is nothing to fit.")
        if len(source.fragments) > MAX_FRAGMENTS:
            raise ValueError(
                f"there are {len(source.fragments):,} batches, more than {MAX_FRAGMENTS:,}; use larger ones."
            )
        validated = [ValidatedFragment(batch) for batch in source.fragments]
        facts: list[BatchFacts] = source.engine.map(validated, DescribeBatch())
        batches = cls(validated, facts)
        if not batches.facts:
            raise ValueError(
                "no batch has a row of a weight above zero, so there is nothing to fit; check the rows and weights."
            )
        for fragment, fact in zip(batches.fragments, batches.facts, strict=True):
            difference = _difference(fact, batches.facts[0])
            if difference:
                raise ValueError(f"{fragment.name} and {batches.fragments[0].name} differ: {difference}")
        return batches

    def labelled(self, class_weight: Any) -> tuple[list[LabelledFragment], Array]:
        """Return the rows with codes among the classes of all batches, and these classes."""
        classes, own = self._classes()
        mass = np.zeros(len(classes))
        for codes, fact in zip(own, self.facts, strict=True):
            np.add.at(mass, codes, fact.mass)
        check_classes(classes, np.arange(len(classes)), mass)
        largest = max(fact.largest_weight for fact in self.facts)
        scale = float((rescale_extreme_weights(np.array([largest])) / largest)[0])
        factor = None
        if class_weight is not None:
            factor = class_weights(class_weight, classes, np.arange(len(classes)), mass * scale)
            check_classes(classes, np.arange(len(classes)), mass * factor)
        weighted = min(fact.least_weight for fact in self.facts) < largest
        first = self.facts[0]
        order = None
        if first.offset_columns:
            names = None if first.offset_names is None else list(first.offset_names)
            order = tuple(offset_column_order(names, first.offset_columns, classes).tolist())
        dtype = np.result_type(*{fact.dtype for fact in self.facts}).str
        common = (None if factor is None else tuple(factor.tolist()), scale, weighted, order)
        fragments = [
            LabelledFragment(fragment, k, dtype, None if first.probabilities else tuple(codes.tolist()), *common)
            for k, (fragment, codes) in enumerate(zip(self.fragments, own, strict=True))
        ]
        return fragments, classes

    def _classes(self) -> tuple[Array, list[IntArray]]:
        """Return the classes of all batches, and the class of each code of each batch."""
        collector, numbers = ClassCollector(), []
        first = next(fact for fact in self.facts if len(fact.classes))
        for fragment, fact in zip(self.fragments, self.facts, strict=True):
            kinds = [kind_of(one.classes[0]) for one in (fact, first) if len(one.classes)]
            if not fact.probabilities and len(set(kinds)) > 1:
                raise ValueError(
                    f"the labels of {fragment.name} are {kinds[0]}, and those of {self.fragments[0].name} are "
                    f"{kinds[1]}; give all labels one type."
                )
        for fragment, fact in zip(self.fragments, self.facts, strict=True):
            try:
                added = collector.add(fact.classes, probabilities=fact.probabilities, from_file=fact.from_file)
            except ValueError as error:
                raise ValueError(f"in {fragment.name}: {error}") from None
            numbers.append(added)
        classes, of_number = collector.finish()
        return classes, [of_number[own] for own in numbers]


def _difference(fact: BatchFacts, first: BatchFacts) -> str:
    """Return a sentence on what does not fit, or an empty text."""
    if fact.names != first.names and fact.d == first.d and fact.names and first.names:
        here, there = next((a, b) for a, b in zip(fact.names, first.names, strict=True) if a != b)
        return f"one has the column {here!r} where the other has {there!r}; give all the same columns."
    if fact.d != first.d:
        return f"they have {fact.d:,} and {first.d:,} columns; all batches need the same columns."
    if fact.sparse != first.sparse:
        return "one is sparse and the other dense; all batches need the same format."
    if fact.weighted != first.weighted:
        return "one has weights and the other has none; give each a weight a row, or none."
    if (fact.offset_names, fact.offset_columns) != (first.offset_names, first.offset_columns):
        return "their offsets have other columns; give each the same, or none."
    return ""
