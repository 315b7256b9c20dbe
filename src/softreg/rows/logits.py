"""What the solver asks of the logits of a block of rows; a home on a device answers for itself.

Products with the rows are one thing that a home does; on a device the logits must stay where they are made as well,
since carrying them to the host would cost more than computing them. So this is the border: parameters go in as NumPy
arrays (or as `Rows.prepare` has made them), sums over the rows come out as NumPy arrays in float64, and whatever has
one number a row stays where the rows are, in a dictionary that belongs to the stack, in whichever form the home likes.

A home in the host's memory has none of this (`Block.softmax` is None); the solver then composes the same from products
and the functions of the textbook.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from softreg.rows.protocol import Array, Sums


class BlockLogits(Protocol):
    """A stack of m models with q classes on a block of b rows; k = m q columns, model by model.

    `prepared` are weights made ready by `Rows.prepare`, `bias` is (k,). Logits are kept under a name: "logits" at the
    point where the stack is, "ahead" at one that it tries, and "step" for their change along a direction.
    """

    def place(self, prepared: Array, bias: Array, name: str) -> None:
        """Keep the logits `W @ X.T + bias` under this name."""
        ...

    def read(self, prepared: Array, bias: Array, name: str) -> Sums:
        """Loss (m,), residual (k,) and residual times rows (k, d), from one reading; the logits are kept as `name`."""
        ...

    def accept(self) -> None:
        """The logits ahead are those of now."""
        ...

    def reject(self) -> None:
        """The step is the way from the logits of now to those ahead."""
        ...

    def along(self, t: Array) -> Sums:
        """Value, slope and curvature (m,) at steps t (m,) along the direction."""
        ...

    def take_step(self, t: Array) -> None:
        """Take steps t (m,) along the direction."""
        ...

    def shift_bias(self, shift: Array) -> None:
        """Add a shift (m, q) to the logits of now."""
        ...

    def drop_members(self, keep: Array) -> None:
        """Of all that is kept, only what belongs to these models (a mask of those before) stays."""
        ...

    def gradient(self, shift: Array | None) -> Sums:
        """Loss (m,), residual times rows (k, d), the residual (k,) that was multiplied, and the same (m, q) before it
        was rounded for that; with a shift (m, q) of the logits softmax is computed in float64."""
        ...

    def bias_sums(self, shift: Array) -> Sums:
        """Residual (m, q) and curvature in the bias (m, q, q) at the logits plus a shift (m, q), in float64."""
        ...

    def entropy(self, shift: Array, share: Array) -> Sums:
        """Entropy (m,) of `Y + share * (P - Y)` at the logits plus a shift (m, q), share (m,)."""
        ...

    def surety(self) -> tuple[Array, Array, Array]:
        """Probability of each row's label (m, b), summed `V p` and `V p (1 - p)` of each class (m, q)."""
        ...

    def kept(self, name: str) -> Array:
        """The logits (m, q, b) kept under this name."""
        ...

    def picked(self, models: Array, rows: Array) -> Array:
        """The logits (r, q) of r rows of the block, each of a model (r,) of its own."""
        ...

    def lean_read(self, prepared: Array, bias: Array) -> Sums:
        """As `read`, where no logits are kept: what `lean_surety` tells stays beside the rows instead."""
        ...

    def lean_surety(self) -> tuple[Array, Array, Array]:
        """What `surety` tells, of the last reading."""
        ...

    def lean_along(self, here: tuple[Array, Array], step: tuple[Array, Array]) -> Sums:
        """As `along`, from weights and bias of the place and of the direction."""
        ...

    def lean_bias(self, prepared: Array, bias: Array, full: bool) -> Sums:
        """Residual (m, q), and the sum of `V p p^T` (m, q, q) if `full`, otherwise of `V p (1 - p)` (m, q).

        Of the matrix only what lies below the diagonal is asked for.
        """
        ...


class CachedLogits:
    """Logits that stay beside the rows under a name, whatever kind of array a home keeps them in."""

    memory: dict[str, Any]

    def accept(self) -> None:
        """The logits ahead are those of now."""
        self.memory["logits"], self.memory["ahead"] = self.memory["ahead"], self.memory["logits"]

    def reject(self) -> None:
        """The step leads to the logits ahead."""
        step = self.memory.pop("ahead")
        step -= self.memory["logits"]
        self.memory["step"] = step

    def _place_for(self, name: str, shape: tuple[int, ...], dtype: Any, make: Callable[[tuple[int, ...]], Any]) -> Any:
        """An array for logits under this name: the one of the last pass, where there is one that fits."""
        room = self.memory.pop(name, None)
        if room is None and name == "ahead":
            room = self.memory.pop("step", None)  # an old direction is of no more use
        if room is None or tuple(room.shape) != shape or room.dtype != dtype:
            room = make(shape)
        self.memory[name] = room
        return room
