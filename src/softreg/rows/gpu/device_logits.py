"""What the solver asks of the logits of a block, on the device where its rows are multiplied.

Rows pass in chunks whose logits fit into the device's cache. Sums stay on the device until the block is through, so the
host waits once a block; logits and all else that has one number a row never leave it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from softreg.rows.gpu import device_loss as loss
from softreg.rows.logits import CachedLogits
from softreg.rows.protocol import Array, Sums

if TYPE_CHECKING:
    from softreg.rows.gpu.block import TorchBlock


class TorchSoftmax(CachedLogits):
    """m models with q classes on a block; `members` are their places among the row weights."""

    def __init__(self, block: TorchBlock, m: int, q: int, members: Array, memory: dict[str, Any]) -> None:
        self.block, self.m, self.q, self.k = block, m, q, m * q
        self.rows, self.memory, self.b = block.rows, memory, block.stop - block.start
        self.V = block.device_weights(m, members)  # (b, m), (b, 1) or None

    # --- chunks -------------------------------------------------------------------------------------------------

    def _with_rows(self) -> Iterator[tuple[slice, Any, Any, Any]]:
        """Chunks of rows: their places, the rows, labels and weights."""
        for span, X in self.block.chunks(self.k):
            yield span, X, self.block.targets[span], None if self.V is None else self.V[span]

    def _without(self) -> Iterator[tuple[slice, Any, Any]]:
        """Chunks of places, labels and weights, where rows are not asked for."""
        size = self.rows.chunk_rows(self.k)
        for a in range(0, self.b, size):
            span = slice(a, min(a + size, self.b))
            yield span, self.block.targets[span], None if self.V is None else self.V[span]

    def _logits(self, X: Any, prepared: Any, bias: Any, out: Any = None) -> Any:
        """Logits (b, m, q) of some rows, written to `out` where that is given."""
        room = None if out is None else out.view(-1, self.k)
        return self.rows.product(X, prepared, bias, room).view(-1, self.m, self.q)

    def _put(self, values: Array, dtype: Any = None) -> Any:
        return self.rows.put(values, dtype)

    def _added(self, parts: Iterator[tuple[Any, ...]]) -> Sums:
        """The sums of the chunks, in order and in float64, on the host."""
        totals: list[Any] = []
        for part in parts:
            if not totals:
                totals = [piece.double() for piece in part]
            else:
                for whole, piece in zip(totals, part, strict=True):
                    whole += piece
        return tuple(np.asarray(whole.cpu().numpy()) for whole in totals)

    # --- logits that are kept -----------------------------------------------------------------------------------

    def place(self, prepared: Any, bias: Array, name: str) -> None:
        """Keep the logits under this name."""
        b, room = self._put(bias), self._room(name)
        for span, X, _, _ in self._with_rows():
            self._logits(X, prepared, b, room[span])

    def _room(self, name: str) -> Any:
        """A tensor (b, m, q) for logits: the one of the last pass, where there is one."""
        return self._place_for(name, (self.b, self.m, self.q), self.rows.kind, self.rows.empty)

    def read(self, prepared: Any, bias: Array, name: str) -> Sums:
        """Loss, residual and residual times rows; the logits are kept."""
        room = self._room(name)
        b, kernel = self._put(bias), self.rows.fused(self.m, self.q)
        if kernel is not None:
            return self._added(self._fused(kernel, prepared, b, room))

        residuals = self.rows.residuals(self.q)

        def part(span: slice, X: Any, labels: Any, V: Any) -> tuple[Any, ...]:
            o = self._logits(X, prepared, b, room[span])
            if residuals is not None:
                R = self.rows.empty(o.shape)
                value, r = residuals(o, R, labels, V, None)
                return value, r, self._gradient(R, X)
            value, P = loss.loss_and_probabilities(o, labels, V)
            return self._sums(value, loss.residual(P, labels, V), X)

        return self._added(part(*chunk) for chunk in self._with_rows())

    def _fused(self, kernel: Any, prepared: Any, bias: Any, room: Any) -> Iterator[tuple[Any, ...]]:
        """The sums of a pass by one kernel, for as many rows as are on the device at a time."""
        precision, unit = "tf32" if self.rows.reduced_precision else "tf32x3", self.rows.X.unit
        for span, X in self.block.stored():
            V = None if self.V is None else self.V[span]
            labels = self.block.targets[span]
            value, r, G = kernel(X, prepared, bias, labels, V, room[span], self.m, self.q, precision)
            yield value, r, G if unit == 1.0 else G * unit

    def _sums(self, value: Any, R: Any, X: Any) -> tuple[Any, ...]:
        return value, loss.total(R.reshape(-1, self.k)), self._gradient(R, X)

    def _gradient(self, R: Any, X: Any) -> Any:
        return self.rows.transposed_product(R.reshape(-1, self.k), X)

    def along(self, t: Array) -> Sums:
        """Value, slope and curvature at steps t."""
        o, step = self.memory["logits"], self.memory["step"]
        far = self._put(t)[None, :, None]

        def part(span: slice, labels: Any, V: Any) -> tuple[Any, ...]:
            return loss.along(o[span] + far * step[span], step[span], labels, V)

        return self._added(part(*chunk) for chunk in self._without())

    def take_step(self, t: Array) -> None:
        """Take steps t."""
        far = self._put(t)[None, :, None]
        for span, _, _ in self._without():
            self.memory["logits"][span] += far * self.memory["step"][span]

    def shift_bias(self, shift: Array) -> None:
        """Add a shift to the logits."""
        self.memory["logits"] += self._put(shift)

    def drop_members(self, keep: Array) -> None:
        """Keep what belongs to these models: they are the second axis of what has rows, the first of sums."""
        places = self._put(np.flatnonzero(keep), np.int64)
        for name, kept in self.memory.items():
            self.memory[name] = kept.index_select(0 if name in ("predicted", "doubt") else 1, places)

    def gradient(self, shift: Array | None) -> Sums:
        """Loss, residual times rows, and the residual twice."""
        far = None if shift is None else self._put(shift, np.float64)

        def part(span: slice, X: Any, labels: Any, V: Any) -> tuple[Any, ...]:
            o = self.memory["logits"][span]
            value, P = loss.loss_and_probabilities(o if far is None else o.double() + far, labels, V)
            R = loss.residual(P, labels, V)
            flat = R.reshape(-1, self.k).to(self.rows.kind)
            return value, self.rows.transposed_product(flat, X), loss.total(flat), loss.total(R)

        return self._added(part(*chunk) for chunk in self._with_rows())

    def bias_sums(self, shift: Array) -> Sums:
        """Residual and curvature in the bias."""
        return self._of_shifted(shift, loss.bias_sums)

    def entropy(self, shift: Array, share: Array) -> Sums:
        """Entropy of labels mixed with probabilities."""
        part = self._put(share, np.float64)
        return self._of_shifted(shift, lambda o, labels, V: (loss.mixed_entropy(o, labels, V, part),))

    def _of_shifted(self, shift: Array, part: Callable[..., tuple[Any, ...]]) -> Sums:
        far = self._put(shift, np.float64)
        return self._added(
            part(self.memory["logits"][span].double() + far, labels, V) for span, labels, V in self._without()
        )

    def surety(self) -> tuple[Array, Array, Array]:
        """How sure the models are of the labels."""
        own = self.rows.empty((self.b, self.m))

        def part(span: slice, labels: Any, V: Any) -> tuple[Any, ...]:
            own[span], predicted, doubt = loss.surety(self.memory["logits"][span].softmax(2), labels, V)
            return predicted, doubt

        predicted, doubt = self._added(part(*chunk) for chunk in self._without())
        return own.T.cpu().numpy(), predicted, doubt

    def kept(self, name: str) -> Array:
        """The logits, brought to the host."""
        return np.asarray(self.memory[name].permute(1, 2, 0).cpu().numpy())

    def picked(self, models: Array, rows: Array) -> Array:
        """The logits of these rows, each of its model."""
        places = self._put(rows, np.int64), self._put(models, np.int64)
        return np.asarray(self.memory["logits"][places].cpu().numpy())

    # --- none that are kept -------------------------------------------------------------------------------------

    def lean_read(self, prepared: Any, bias: Array) -> Sums:
        """Loss, residual and residual times rows; how sure the models are stays beside the rows."""
        b, own, residuals = self._put(bias), self._own(), self.rows.residuals(self.q)

        def part(span: slice, X: Any, labels: Any, V: Any) -> tuple[Any, ...]:
            if residuals is not None:
                o = self._logits(X, prepared, b)
                value, r, predicted, doubt = residuals(o, o, labels, V, own[span])
                return value, r, self._gradient(o, X), predicted, doubt
            value, P = loss.loss_and_probabilities(self._logits(X, prepared, b), labels, V)
            own[span], predicted, doubt = loss.surety(P, labels, V)
            return *self._sums(value, loss.residual(P, labels, V), X), predicted, doubt

        value, r, G, predicted, doubt = self._added(part(*chunk) for chunk in self._with_rows())
        self.memory["predicted"] = self._put(predicted, np.float64)
        self.memory["doubt"] = self._put(doubt, np.float64)
        return value, r, G

    def _own(self) -> Any:
        own = self.memory.get("own")
        if own is None or tuple(own.shape) != (self.b, self.m) or own.dtype != self.rows.kind:
            own = self.memory["own"] = self.rows.empty((self.b, self.m))
        return own

    def lean_surety(self) -> tuple[Array, Array, Array]:
        """How sure the last reading was."""
        own, predicted, doubt = (self.memory[name].cpu().numpy() for name in ("own", "predicted", "doubt"))
        return own.T, predicted, doubt

    def lean_along(self, here: tuple[Any, Array], step: tuple[Any, Array]) -> Sums:
        """Value, slope and curvature along a direction."""
        there, change = self._put(here[1]), self._put(step[1])

        def part(span: slice, X: Any, labels: Any, V: Any) -> tuple[Any, ...]:
            return loss.along(self._logits(X, here[0], there), self._logits(X, step[0], change), labels, V)

        return self._added(part(*chunk) for chunk in self._with_rows())

    def lean_bias(self, prepared: Any, bias: Array, full: bool) -> Sums:
        """Residual, and what the curvature in the bias is made of."""
        b = self._put(bias)

        def part(span: slice, X: Any, labels: Any, V: Any) -> tuple[Any, ...]:
            P = self._logits(X, prepared, b).softmax(2)
            _, _, doubt = loss.surety(P, labels, V)
            K = loss.squares(P if V is None else P * V[..., None].to(P.dtype), P) if full else doubt
            return loss.total(loss.residual(P, labels, V)), K

        return self._added(part(*chunk) for chunk in self._with_rows())
