"""E-processes: products of likelihood ratios, mixed over the row where a change starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from softreg.monitor.betting import BLOCK, FAMILIES, WINDOWS, Learners, place_bets, update_learners
from softreg.typing import Codes, Float64Array

STAKES = ("joint", "by_class")
"""The two groups of e-processes."""

UNDECIDED = 0.5
"""Log likelihood ratio since a start, in nats, up to which a later start is as likely."""


def remaining_stake(block: int) -> float:
    """Return the share of the stake that is not yet bet when a block starts: `1 / (1 + log(1 + block))`.

    It decreases so slowly that the price of a change in block b is `log b + 2 log log b` nats instead of `2 log b`.

    Parameters
    ----------
    block : int
        Number of the block, from 0.

    Returns
    -------
    float
        The share.

    Examples
    --------
    >>> remaining_stake(0)
    1.0
    """
    return float(1 / (1 + np.log1p(block)))


@dataclass(eq=False)
class Wealth:
    """Logarithms of the wealth of all bets of S streams at the start of a block.

    Attributes
    ----------
    joint : array (S, 4, M)
        Wealth by family and memory, without the stake that is not yet bet.
    by_class : array (S, M, K)
        The same of each class against the rest.
    joint_best, class_best : arrays of the same shapes
        Wealth of the best single start of a change, with a stake of 1: the largest likelihood ratio, as of CUSUM.
    joint_start, class_start : arrays of the same shapes
        Block of that start.
    """

    joint: Float64Array
    by_class: Float64Array
    joint_best: Float64Array
    class_best: Float64Array
    joint_start: Float64Array
    class_start: Float64Array

    @classmethod
    def start(cls, streams: int, classes: int) -> Wealth:
        """Return the wealth before the first block."""
        shapes = ((streams, len(FAMILIES), len(WINDOWS)), (streams, len(WINDOWS), classes))
        nothing = [np.full(shape, -np.inf) for shape in shapes * 2]
        return cls(*nothing, *(np.zeros(shape) for shape in shapes))


@dataclass(frozen=True, eq=False)
class BlockValues:
    """E-processes of S streams after each of the B rows of a block, as logarithms.

    Attributes
    ----------
    overall : array (S, B)
        Of the test of all probabilities.
    by_class : array (S, B, K)
        Of each class against the rest.
    families : array (S, B, 4)
        Of the families of recalibrations.
    """

    overall: Float64Array
    by_class: Float64Array
    families: Float64Array


@dataclass(eq=False)
class EProcess:
    """E-processes of S streams with K classes that move in step.

    Attributes
    ----------
    learners : Learners
        Recalibrations.
    wealth : Wealth
        Wealth at the start of the block.
    block : int
        Number of complete blocks.
    """

    learners: Learners
    wealth: Wealth
    block: int = 0

    @classmethod
    def start(cls, streams: int, classes: int) -> EProcess:
        """Return e-processes before the first row."""
        return cls(Learners.start(streams, classes), Wealth.start(streams, classes))

    def advance(self, P: Float64Array, codes: Codes) -> BlockValues:
        """Return the values after the rows of a block, and move to the next one where the block is complete.

        An incomplete block leaves everything as it was: it is given again with further rows.

        Parameters
        ----------
        P : array (S, B, K)
            Probabilities of at most `BLOCK` rows.
        codes : array (S, B)
            Labels.

        Returns
        -------
        BlockValues
            Values after each row.
        """
        bets = place_bets(self.learners, P, codes)
        stake, left = remaining_stake(self.block), remaining_stake(self.block + 1)
        start = np.log(stake - left)
        joint = np.cumsum(bets.joint, axis=-1)
        by_class = np.cumsum(bets.by_class, axis=2)
        joint_wealth = np.logaddexp(self.wealth.joint, start)
        class_wealth = np.logaddexp(self.wealth.by_class, start)
        values = _combine(joint + joint_wealth[..., None], by_class + class_wealth[:, :, None], np.log(left))
        if codes.shape[1] == BLOCK:
            best, since = _best_start(self.wealth.joint_best, self.wealth.joint_start, self.block)
            class_best, class_since = _best_start(self.wealth.class_best, self.wealth.class_start, self.block)
            last, last_class = joint[..., -1], by_class[:, :, -1]
            self.wealth = Wealth(
                joint_wealth + last, class_wealth + last_class, best + last, class_best + last_class, since, class_since
            )
            update_learners(self.learners, bets)
            self.block += 1
        return values

    def to_state(self) -> dict[str, Any]:
        """Return a dict for JSON; minus infinity is None."""
        wealth = {f.name: _to_list(getattr(self.wealth, f.name)) for f in fields(Wealth)}
        return {"block": self.block, "wealth": wealth, "learners": self.learners.to_state()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], classes: int) -> EProcess:
        """Return the e-process that `to_state` wrote; raise `ValueError`, `KeyError` or `TypeError` for another."""
        start, arrays = Wealth.start(1, classes), {}
        for field in fields(Wealth):
            stored = np.asarray(state["wealth"][field.name], dtype=np.float64)  # None is read as nan
            array = np.where(np.isnan(stored), -np.inf, stored)
            if array.shape != getattr(start, field.name).shape:
                raise ValueError(f"{field.name} has the shape {array.shape}")
            arrays[field.name] = array
        block = state["block"]
        if not isinstance(block, int) or block < 0:
            raise ValueError(f"the number of blocks is {block!r}")
        return cls(Learners.from_state(state["learners"], classes), Wealth(**arrays), block)


def _to_list(array: Float64Array) -> list[Any]:
    """Return nested lists with None for minus infinity."""
    values = array.astype(object)
    values[np.isneginf(array)] = None
    return list(values.tolist())


def _best_start(best: Float64Array, since: Float64Array, block: int) -> tuple[Float64Array, Float64Array]:
    """Return the wealth of the best single start, and its block, where a change may start in this block."""
    new = best <= UNDECIDED
    return np.where(new, 0.0, best), np.where(new, block, since)


def _combine(joint: Float64Array, by_class: Float64Array, left: float) -> BlockValues:
    """Return the e-processes of wealth (S, 4, M, B) and (S, M, B, K): means over memories, families and classes."""
    families = np.logaddexp(_log_mean(joint, axis=2), left)
    classes = np.logaddexp(_log_mean(by_class, axis=1), left)
    overall = np.logaddexp(_log_mean(families, axis=1), _log_mean(classes, axis=-1)) - np.log(2)
    return BlockValues(overall, classes, families.swapaxes(1, 2))


def _log_mean(logs: Float64Array, axis: int) -> Float64Array:
    """Return the logarithm of the mean of exp(logs)."""
    largest = logs.max(axis=axis, keepdims=True)
    mean = np.exp(logs - largest).mean(axis=axis)
    return np.asarray(np.log(mean) + np.squeeze(largest, axis=axis))
