"""Logits of a block on the device where its rows are multiplied; `rows.logits.BlockLogits` describes each operation.

Rows are read in chunks whose logits fit in the device's cache. Sums stay on the device until the last chunk of the
block, so the host waits once per block; logits, and all arrays with one number per row, stay on the device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from softreg.rows.gpu import device_loss as loss
from softreg.rows.gpu.interop import Tensor
from softreg.rows.logits import BackendArray, Confidence, KeptLogits, LogitEntry, ParameterPoint, Sums
from softreg.typing import Array

if TYPE_CHECKING:
    from softreg.rows.gpu.block import TorchBlock


class DeviceLogits(KeptLogits):
    """m models with q classes on a block; `members` are their positions among the row weights."""

    member_axis = 1

    def __init__(self, block: TorchBlock, m: int, q: int, members: Array, entry: LogitEntry) -> None:
        self.block, self.m, self.q, self.k = block, m, q, m * q
        self.rows, self.entry, self.b = block.rows, entry, block.stop - block.start
        self.V = block.device_weights(m, members)  # (b, m), (b, 1) or None
        self.offset = block.device_offset  # (b, q) or None

    # --- chunks -------------------------------------------------------------------------------------------------

    def _row_chunks(self) -> Iterator[tuple[slice, Tensor, Tensor, Tensor | None]]:
        """Yield chunks of rows: their position, the rows, labels and weights."""
        for span, X in self.block.chunks(self.k):
            yield span, X, self.block.targets[span], None if self.V is None else self.V[span]

    def _chunks(self) -> Iterator[tuple[slice, Tensor, Tensor | None]]:
        """Yield positions, labels and weights of chunks, without the rows."""
        size = self.rows.chunk_rows(self.k)
        for a in range(0, self.b, size):
            span = slice(a, min(a + size, self.b))
            yield span, self.block.targets[span], None if self.V is None else self.V[span]

    def _logits(
        self,
        rows: tuple[slice, Tensor],
        prepared: Tensor,
        bias: Tensor,
        out: Tensor | None = None,
        is_direction: bool = False,
    ) -> Tensor:
        """Return the logits (b, m, q) of a chunk's position and rows, written to `out` if given.

        Those of a point have the offset of the rows, those of a direction have none.

        Returns
        -------
        torch.Tensor
        """
        span, X = rows
        buffer = None if out is None else out.view(-1, self.k)
        o = self.rows.product(X, prepared, bias, buffer).view(-1, self.m, self.q)
        if self.offset is not None and not is_direction:
            o += self.offset[span][:, None]
        return o

    def _put(self, values: Array, dtype: Any = None) -> Tensor:
        return self.rows.put(values, dtype)

    def _sum_chunks(self, parts: Iterator[tuple[Tensor, ...]]) -> Sums:
        """Return the sums of the chunks on the host, added in order and in float64."""
        totals: list[Tensor] = []
        for part in parts:
            if not totals:
                totals = [piece.double() for piece in part]
            else:
                for whole, piece in zip(totals, part, strict=True):
                    whole += piece
        return tuple(np.asarray(whole.cpu().numpy()) for whole in totals)

    # --- kept logits --------------------------------------------------------------------------------------------

    def keep(self, prepared: BackendArray, bias: Array, point: ParameterPoint, replaces: tuple[int, ...]) -> None:
        """Keep the logits of a point or a direction."""
        b, out = self._put(bias), self._array_for(point.version, replaces)
        for span, X, _, _ in self._row_chunks():
            self._logits((span, X), prepared, b, out[span], point.is_direction)

    def _array_for(self, version: int, replaces: tuple[int, ...]) -> BackendArray:
        """Return a tensor (b, m, q) for logits, in the memory of those that it replaces if that fits."""
        shape = (self.b, self.m, self.q)
        return self.entry.array_for(version, replaces, shape, self.rows.kind, self.rows.empty)

    def _kept(self, point: ParameterPoint) -> BackendArray:
        """Return the kept logits (b, m, q) of a point; those that are missing are computed again and kept."""
        kept = self.entry.arrays.get(point.version)
        if kept is None:
            W, b = point.stored()
            self.keep(self.rows.prepare(W), b, point, ())
            kept = self.entry.arrays[point.version]
        return kept

    def loss_and_gradient(self, prepared: BackendArray, bias: Array, version: int, replaces: tuple[int, ...]) -> Sums:
        """Return loss, residual and residual times rows; the logits are kept."""
        buffer = self._array_for(version, replaces)
        b, kernel = self._put(bias), self.rows.fused(self.m, self.q)
        if kernel is not None:
            return self._sum_chunks(self._fused(kernel, prepared, b, buffer))

        residuals = self.rows.residuals(self.q)

        def part(span: slice, X: Tensor, labels: Tensor, V: Tensor) -> tuple[Tensor, ...]:
            o = self._logits((span, X), prepared, b, buffer[span])
            if residuals is not None:
                R = self.rows.empty(o.shape)
                value, r = residuals(o, R, labels, V, None)
                return value, r, self._gradient(R, X)
            value, P = loss.loss_and_probabilities(o, labels, V)
            return self._sums(value, loss.residual(P, labels, V), X)

        return self._sum_chunks(part(*chunk) for chunk in self._row_chunks())

    def _fused(self, kernel: Any, prepared: Tensor, bias: Tensor, buffer: Tensor) -> Iterator[tuple[Tensor, ...]]:
        """Yield the sums of a fused pass for as many rows as are on the device at a time."""
        precision, unit = "tf32" if self.rows.reduced_precision else "tf32x3", self.rows.X.unit
        for span, X in self.block.stored():
            V = None if self.V is None else self.V[span]
            labels = self.block.targets[span]
            value, r, G = kernel(X, prepared, bias, labels, V, buffer[span], self.m, self.q, precision)
            yield value, r, G if unit == 1.0 else G * unit

    def _sums(self, value: Tensor, R: Tensor, X: Tensor) -> tuple[Tensor, ...]:
        return value, loss.total(R.reshape(-1, self.k)), self._gradient(R, X)

    def _gradient(self, R: Tensor, X: Tensor) -> Tensor:
        return self.rows.transposed_product(R.reshape(-1, self.k), X)

    def eval_along(self, point: ParameterPoint, direction: ParameterPoint, t: Array) -> Sums:
        """Return value, slope and curvature at steps t."""
        o, step = self._kept(point), self._kept(direction)
        step_lengths = self._put(t)[None, :, None]

        def part(span: slice, labels: Tensor, V: Tensor) -> tuple[Tensor, ...]:
            return loss.along(o[span] + step_lengths * step[span], step[span], labels, V)

        return self._sum_chunks(part(*chunk) for chunk in self._chunks())

    def take_step(self, point: ParameterPoint, direction: ParameterPoint, t: Array, version: int) -> None:
        """Take steps t along the direction."""
        o, step = self._kept(point), self._kept(direction)
        step_lengths = self._put(t)[None, :, None]
        for span, _, _ in self._chunks():
            o[span] += step_lengths * step[span]
        self.entry.rename(point.version, version)

    def shift_bias(self, point: ParameterPoint, shift: Array, version: int) -> None:
        """Add a shift to the logits."""
        o = self.entry.rename(point.version, version)
        if o is not None:
            o += self._put(shift)

    def _member_positions(self, keep: Array) -> Tensor:
        return self._put(np.flatnonzero(keep), np.int64)

    def _take(self, array: Tensor, positions: Tensor, axis: int) -> Tensor:
        return array.index_select(axis, positions)

    def gradient(self, point: ParameterPoint, shift: Array | None) -> Sums:
        """Return loss, residual times rows, and the residual twice."""
        kept, step_lengths = self._kept(point), None if shift is None else self._put(shift, np.float64)

        def part(span: slice, X: Tensor, labels: Tensor, V: Tensor) -> tuple[Tensor, ...]:
            o = kept[span]
            value, P = loss.loss_and_probabilities(o if step_lengths is None else o.double() + step_lengths, labels, V)
            R = loss.residual(P, labels, V)
            flat = R.reshape(-1, self.k).to(self.rows.kind)
            return value, self.rows.transposed_product(flat, X), loss.total(flat), loss.total(R)

        return self._sum_chunks(part(*chunk) for chunk in self._row_chunks())

    def bias_sums(self, point: ParameterPoint, shift: Array) -> Sums:
        """Return residual and curvature in the bias."""
        return self._of_shifted(point, shift, lambda _, o, labels, V: loss.bias_sums(o, labels, V))

    def entropy(self, point: ParameterPoint, shift: Array, share: Array) -> Sums:
        """Return the entropy of labels mixed with probabilities, and what the offset adds."""
        part = self._put(share, np.float64)

        def sums(span: slice, o: Tensor, labels: Tensor, V: Tensor) -> tuple[Tensor, ...]:
            offset = None if self.offset is None else self.offset[span]
            return (loss.mixed_entropy(o, labels, V, part, offset),)

        return self._of_shifted(point, shift, sums)

    def _of_shifted(self, point: ParameterPoint, shift: Array, part: Callable[..., tuple[Tensor, ...]]) -> Sums:
        kept, step_lengths = self._kept(point), self._put(shift, np.float64)
        return self._sum_chunks(
            part(span, kept[span].double() + step_lengths, labels, V) for span, labels, V in self._chunks()
        )

    def confidence(self, point: ParameterPoint) -> tuple[Array, Array, Array]:
        """Return probabilities of the labels, and mass and variance of each class."""
        kept, p_label = self._kept(point), self.rows.empty((self.b, self.m))

        def part(span: slice, labels: Tensor, V: Tensor) -> tuple[Tensor, ...]:
            p_label[span], class_mass, class_variance = loss.label_confidence(kept[span].softmax(2), labels, V)
            return class_mass, class_variance

        class_mass, class_variance = self._sum_chunks(part(*chunk) for chunk in self._chunks())
        return p_label.T.cpu().numpy(), class_mass, class_variance

    def logits(self, point: ParameterPoint) -> Array:
        """Return the logits, copied to the host."""
        return np.asarray(self._kept(point).permute(1, 2, 0).cpu().numpy())

    def select(self, point: ParameterPoint, models: Array, rows: Array) -> Array:
        """Return the logits of these rows, each of its model."""
        places = self._put(rows, np.int64), self._put(models, np.int64)
        return np.asarray(self._kept(point)[places].cpu().numpy())

    # --- logits computed again on each call ---------------------------------------------------------------------

    def recomputed_loss_and_gradient(self, prepared: BackendArray, bias: Array, version: int) -> Sums:
        """Return loss, residual and residual times rows; the confidence is kept."""
        b, p_label, residuals = self._put(bias), self._p_label_memory(), self.rows.residuals(self.q)

        def part(span: slice, X: Tensor, labels: Tensor, V: Tensor) -> tuple[Tensor, ...]:
            if residuals is not None:
                o = self._logits((span, X), prepared, b)
                value, r, class_mass, class_variance = residuals(o, o, labels, V, p_label[span])
                return value, r, self._gradient(o, X), class_mass, class_variance
            value, P = loss.loss_and_probabilities(self._logits((span, X), prepared, b), labels, V)
            p_label[span], class_mass, class_variance = loss.label_confidence(P, labels, V)
            return *self._sums(value, loss.residual(P, labels, V), X), class_mass, class_variance

        value, r, G, class_mass, class_variance = self._sum_chunks(part(*chunk) for chunk in self._row_chunks())
        mass, variance = self._put(class_mass, np.float64), self._put(class_variance, np.float64)
        self.entry.confidence = Confidence(version, p_label, mass, variance)
        return value, r, G

    def _p_label_memory(self) -> BackendArray:
        """Return a tensor (b, m) for the probabilities of the labels, in the memory of the last ones if that fits."""
        kept = self.entry.confidence
        if kept is None or tuple(kept.p_label.shape) != (self.b, self.m) or kept.p_label.dtype != self.rows.kind:
            return self.rows.empty((self.b, self.m))
        self.entry.confidence = None
        return kept.p_label

    def recomputed_confidence(self, point: ParameterPoint) -> tuple[Array, Array, Array]:
        """Return the confidence of the last pass, or of another pass at these parameters."""
        kept = self.entry.confidence
        if kept is None or kept.version != point.version:
            W, b = point.stored()
            self.recomputed_loss_and_gradient(self.rows.prepare(W), b, point.version)
            kept = self.entry.confidence
            assert kept is not None
        p_label, mass, variance = (a.cpu().numpy() for a in (kept.p_label, kept.class_mass, kept.class_variance))
        return p_label.T, mass, variance

    def recomputed_along(self, here: tuple[BackendArray, Array], step: tuple[BackendArray, Array]) -> Sums:
        """Return value, slope and curvature along a direction."""
        there, change = self._put(here[1]), self._put(step[1])

        def part(span: slice, X: Tensor, labels: Tensor, V: Tensor) -> tuple[Tensor, ...]:
            o = self._logits((span, X), here[0], there)
            return loss.along(o, self._logits((span, X), step[0], change, is_direction=True), labels, V)

        return self._sum_chunks(part(*chunk) for chunk in self._row_chunks())

    def recomputed_bias_sums(self, prepared: BackendArray, bias: Array, full: bool) -> Sums:
        """Return the residual, and what the curvature in the bias is made of."""
        b = self._put(bias)

        def part(span: slice, X: Tensor, labels: Tensor, V: Tensor) -> tuple[Tensor, ...]:
            P = self._logits((span, X), prepared, b).softmax(2)
            _, _, class_variance = loss.label_confidence(P, labels, V)
            K = loss.squares(P if V is None else P * V[..., None].to(P.dtype), P) if full else class_variance
            return loss.total(loss.residual(P, labels, V)), K

        return self._sum_chunks(part(*chunk) for chunk in self._row_chunks())
