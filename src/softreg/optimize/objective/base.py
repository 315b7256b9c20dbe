"""The state of a stack of models over the same rows, and the operations that all objectives share."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from softreg.optimize.cost.meter import Part, current_meter
from softreg.optimize.objective.class_moments import (
    ClassMoments,
    OffsetMoments,
    Scatter,
    class_moments,
    offset_moments,
    scatter,
)
from softreg.optimize.objective.loss_reductions import CountedReduction, DropMembers, Mass
from softreg.optimize.objective.reduction_work import RowSizes, work_of
from softreg.optimize.objective.stack_state import Point, StackState
from softreg.optimize.problem.penalty_protocol import Penalty
from softreg.optimize.problem.standardization import Coordinates
from softreg.rows import Array, LogitStore, Rows, Sums

NOISE_REDUCED, NOISE_FLOAT32, NOISE_FLOAT64 = 1e-4, 1e-6, 1e-11
"""Relative difference of the loss between two passes at nearly the same parameters, by the precision of products."""


class Stack:
    """m models of q classes on the same rows; each has its penalty and its row weights."""

    keeps_logits = True

    def __init__(
        self, rows: Rows, n_classes: int, penalty: Penalty, coordinates: Coordinates, fit_intercept: bool = True
    ) -> None:
        self.rows, self.q, self.penalty, self.coordinates = rows, n_classes, penalty, coordinates
        self.fit_intercept = fit_intercept
        self.members = np.arange(len(penalty))
        self.half_passes = 0
        self.meter, self._sizes = current_meter(), RowSizes.of(rows)
        self.meter.see(rows)
        self.store = LogitStore()
        self.here = self.point(np.broadcast_to(0.0, (self.m, n_classes, rows.d + 1)))
        """The parameters whose logits are kept."""
        (mass,) = self.sum(Mass(self.m))
        if len(mass) not in (1, self.m):
            raise ValueError(f"the row weights must be (1, n) or (m, n) for the m = {self.m} models of the penalty")
        self.mass = mass if len(mass) == self.m else mass.repeat(self.m)
        self.ridge, self.center = self._ridge(), self._center()

    @cached_property
    def moments(self) -> ClassMoments:
        """Rates and means of the classes."""
        return class_moments(self)

    @cached_property
    def offset_moments(self) -> OffsetMoments:
        """Mean offsets of the logits."""
        return offset_moments(self)

    @cached_property
    def scatter(self) -> Scatter:
        """Total and within-class scatter of the rows; the same for all models."""
        return scatter(self)

    @property
    def m(self) -> int:
        """Number of models still in the stack."""
        return len(self.members)

    @property
    def passes(self) -> int:
        """Number of passes over the rows so far; one pass is one product with X and one with its transpose."""
        return (self.half_passes + 1) // 2

    @property
    def rows_read(self) -> int:
        """Number of rows read so far, in all passes."""
        return self.half_passes * self.rows.n // 2

    def point(self, theta: Array) -> Point:
        """Return these parameters (m, q, d + 1) under a new version."""
        return Point(theta, self.coordinates)

    def direction_point(self, change: Array) -> Point:
        """Return a change of the parameters (m, q, d + 1) under a new version; its logits have no offset."""
        return Point(change, self.coordinates, is_direction=True)

    @property
    def state(self) -> StackState:
        """The stack at its current parameters, for reductions."""
        return self.state_at(self.here)

    def state_at(self, point: Point) -> StackState:
        """Return the stack at other parameters."""
        return StackState(self.m, self.q, self.members, point, self.store, self.keeps_logits)

    def sum(self, reduction: CountedReduction[Sums]) -> Sums:
        """Return the sum of a reduction over all blocks, and count its passes."""
        self.half_passes += reduction.half_passes
        with self._metered(reduction):
            return self.rows.sum(reduction)

    def map(self, reduction: CountedReduction[Array]) -> Array:
        """Return the results of a reduction on all blocks, concatenated, and count its passes."""
        self.half_passes += reduction.half_passes
        with self._metered(reduction):
            return self.rows.map(reduction)

    def _metered(self, reduction: CountedReduction[Any]) -> Part:
        """Count the bytes and operations of a reduction, and return the context that times it."""
        bytes_read, operations = work_of(reduction, self._sizes, self.m, self.q)
        return self.meter.passes(bytes_read, operations, self._sizes.dtype)

    def _ridge(self) -> Array:
        """Return the curvature (m, 1 or q, d + 1) of the l2 part in the scaled coordinates; 0 for the bias."""
        ridge = self.penalty.quadratic_diagonal(self.coordinates.scale)
        return np.concatenate([ridge, np.zeros((*ridge.shape[:2], 1))], axis=2)

    def _center(self) -> Array | None:
        """Return the parameters (q, d + 1) at which the l2 part is 0 in the scaled coordinates; None for zeros."""
        center = self.penalty.center
        if center is None:
            return None
        return np.concatenate([center * self.coordinates.scale, np.zeros((self.q, 1))], axis=1)

    def ridge_gradient(self, theta: Array) -> Array:
        """Return the gradient (m, q, d + 1) of the l2 part in the scaled coordinates."""
        return np.asarray(self.ridge * (theta if self.center is None else theta - self.center))

    @property
    def parameter_scale(self) -> Array:
        """Scale (d + 1,) of each parameter; infinite for the bias, which has no penalty."""
        return np.append(self.coordinates.scale, np.inf)

    @property
    def l1_scaled(self) -> Array:
        """The l1 strength (m, 1 or q, d + 1) of each parameter in the scaled coordinates; 0 for the bias."""
        kink = self.penalty.kink(self.coordinates.scale)
        return np.concatenate([kink, np.zeros((*kink.shape[:2], 1))], axis=2)

    @property
    def bounds_scaled(self) -> tuple[Array, Array] | None:
        """Least and largest value (q, d + 1) of each parameter in the scaled coordinates; None without bounds."""
        bounds = self.penalty.bounds
        if bounds is None:
            return None
        free = np.full((self.q, 1), np.inf)
        lower, upper = (bound * self.coordinates.scale for bound in bounds)
        return np.concatenate([lower, -free], axis=1), np.concatenate([upper, free], axis=1)

    def within_bounds(self, theta: Array) -> Array:
        """Return parameters (m, q, d + 1) in the scaled coordinates, each moved to the bound that it exceeds."""
        bounds = self.bounds_scaled
        return theta if bounds is None else np.clip(theta, *bounds)

    def user(self, theta: Array) -> tuple[Array, Array]:
        """Return weights (m, q, d) and bias (m, q) in the coordinates of the user."""
        return self.coordinates.to_user(theta)

    def drop_members(self, keep: Array) -> None:
        """Keep only the models of this mask in the stack."""
        self.members, self.mass, self.ridge = self.members[keep], self.mass[keep], self.ridge[keep]
        self.penalty = self.penalty.keep(keep)
        if "moments" in self.__dict__:
            self.moments = self.moments.keep(keep)
        if "offset_moments" in self.__dict__:
            self.offset_moments = self.offset_moments.keep(keep)
        before, self.here = self.here, self.point(self.here.theta[keep])
        self.sum(DropMembers(self.state, keep, ((before.version, self.here.version),)))

    def increase_precision(self) -> None:
        """Increase the precision of products, at most to float64; kept logits are computed again."""
        self.rows = self.rows.with_higher_precision()
        self._sizes = RowSizes.of(self.rows)
        self.store.clear()

    @property
    def digits(self) -> float:
        """Relative difference of the loss between two passes at nearly the same parameters."""
        if self.rows.reduced_precision:
            return NOISE_REDUCED
        return NOISE_FLOAT32 if self.rows.dtype == np.float32 else NOISE_FLOAT64

    def lacks_precision(self) -> bool:
        """Return True if products in float64 would be more precise than the present ones."""
        return bool(self.rows.dtype != np.float64)
