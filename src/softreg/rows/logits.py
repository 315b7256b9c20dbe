"""Logits of a block of rows: the operations of a solver on them, and the store that keeps them.

Parameters go in as NumPy arrays (or as `Rows.prepare` returns them), sums over the rows come out as NumPy arrays in
float64. Arrays with one number a row stay where the rows are: on a device, carrying the logits to the host would cost
more than computing them. `memory/host_logits.py` and `gpu/device_logits.py` implement `BlockLogits`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any, ClassVar, Protocol, TypeAlias
from uuid import uuid4

from softreg.typing import Array

Sums: TypeAlias = tuple[Any, ...]
"""Arrays and numbers that can be added, one tuple a block."""
BackendArray: TypeAlias = Any
"""An array of the backend: a NumPy array, or a tensor on a device."""


class ParameterPoint(Protocol):
    """Parameters of a stack of models, named by a version that no other parameters have."""

    @property
    def version(self) -> int:
        """The name under which logits of these parameters are kept."""
        ...

    @property
    def is_direction(self) -> bool:
        """Whether these are a change of parameters, whose logits have no offset."""
        ...

    def stored(self) -> tuple[Array, Array]:
        """Return weights (k, d) and bias (k,), in float64, for the numbers that blocks multiply."""
        ...


@dataclass(frozen=True, slots=True)
class Confidence:
    """Confidence of a stack at one version of its parameters, in arrays of the backend.

    `p_label` holds the probability of each row's label, `class_mass` and `class_variance` the sums over the rows of
    `V p` and `V p (1 - p)` of each class.
    """

    version: int
    p_label: BackendArray
    class_mass: BackendArray
    class_variance: BackendArray


class LogitEntry:
    """What a stack keeps for one block: logits by the version of their parameters, and the last confidence."""

    __slots__ = ("arrays", "confidence")

    def __init__(self) -> None:
        self.arrays: dict[int, BackendArray] = {}
        self.confidence: Confidence | None = None

    def discard(self, versions: tuple[int, ...]) -> None:
        """Free the logits of these versions."""
        for version in versions:
            self.arrays.pop(version, None)

    def array_for(
        self,
        version: int,
        replaces: tuple[int, ...],
        shape: tuple[int, ...],
        dtype: Any,
        make: Callable[[tuple[int, ...]], BackendArray],
    ) -> BackendArray:
        """Return an array for the logits of `version`, in the memory of a version that it replaces where one fits."""
        array = None
        for old in (version, *replaces):
            candidate = self.arrays.pop(old, None)
            if array is None and candidate is not None and tuple(candidate.shape) == shape:
                array = candidate if candidate.dtype == dtype else None
        if array is None:
            array = make(shape)
        self.arrays[version] = array
        return array

    def rename(self, old: int, new: int) -> BackendArray | None:
        """Return the logits of `old` under the name `new`, or None where they are not kept."""
        array = self.arrays.pop(old, None)
        if array is not None:
            self.arrays[new] = array
        return array


class LogitStore:
    """Kept logits of one stack of models, with one entry for each block; the objective owns it.

    An entry is named by the version of the parameters that it belongs to. Where it is missing, the logits are computed
    again from the parameters. Entries are not pickled: in another process the store of the same name is used, which is
    empty at first and keeps confidences only (`MOST_STORES` of such stores, those used last).

    Examples
    --------
    >>> store = LogitStore()
    >>> store.entry(0) is store.entry(0)
    True
    """

    def __init__(self) -> None:
        self.name = uuid4().hex
        self._entries: dict[int, LogitEntry] = {}

    def __reduce__(self) -> tuple[Callable[[str], LogitStore], tuple[str]]:
        return _store_named, (self.name,)

    def entry(self, place: int) -> LogitEntry:
        """Return the entry of the block of this `place`."""
        return self._entries.setdefault(place, LogitEntry())

    def clear(self) -> None:
        """Free all logits; those that are needed are computed again."""
        self._entries.clear()


class SentStore(LogitStore):
    """A store that was received from another process.

    Logits that are updated in place depend on the updates in their last bits, and those of a worker that was lost would
    be computed from the parameters. So that the results do not depend on losses, logits are not kept here from one
    reduction to the next. A confidence is a function of the parameters to the last bit, and is kept.
    """

    def entry(self, place: int) -> LogitEntry:
        """Return a new entry with the confidence of the block that was kept last."""
        return SentEntry(self._entries.setdefault(place, LogitEntry()))


class SentEntry(LogitEntry):
    """Logits for one reduction, and the confidence of the entry that is kept."""

    __slots__ = ("kept",)

    def __init__(self, kept: LogitEntry) -> None:
        self.arrays, self.kept = {}, kept

    @property
    def confidence(self) -> Confidence | None:
        """The last confidence."""
        return self.kept.confidence

    @confidence.setter
    def confidence(self, value: Confidence | None) -> None:
        self.kept.confidence = value


MOST_STORES = 2
"""Stores of other processes that are kept."""
_stores: OrderedDict[str, SentStore] = OrderedDict()
_naming = Lock()


def _store_named(name: str) -> SentStore:
    """Return the store of this process for a store of another one."""
    with _naming:
        store = _stores.setdefault(name, SentStore())
        _stores.move_to_end(name)
        while len(_stores) > MOST_STORES:
            _stores.popitem(last=False)
        return store


class KeptLogits:
    """Operations on the kept logits of a block that are the same for NumPy arrays and for tensors."""

    __slots__ = ("entry",)
    entry: LogitEntry
    member_axis: ClassVar[int]
    """Axis of the models in arrays with rows; in sums over the rows they are on the first one."""

    def _kept(self, point: ParameterPoint) -> BackendArray:
        """Return the kept logits of a point; those that are missing are computed again and kept."""
        raise NotImplementedError

    def _member_positions(self, keep: Array) -> BackendArray:
        """Return the positions of the models of a mask, as an array of the backend."""
        raise NotImplementedError

    def _take(self, array: BackendArray, positions: BackendArray, axis: int) -> BackendArray:
        """Return a part of an array along an axis."""
        raise NotImplementedError

    def difference(self, ahead: ParameterPoint, here: ParameterPoint, version: int, replaces: tuple[int, ...]) -> None:
        """Keep logits ahead minus logits here."""
        self.entry.discard(replaces)
        kept, step = self._kept(here), self._kept(ahead)
        step -= kept
        self.entry.rename(ahead.version, version)

    def drop_members(self, keep: Array, renamed: tuple[tuple[int, int], ...]) -> None:
        """Keep the models of this mask; of all versions only the renamed ones (old, new) stay."""
        kept, confidence, versions = self.entry.arrays, self.entry.confidence, dict(renamed)
        at = self._member_positions(keep)
        self.entry.arrays = {new: self._take(kept[old], at, self.member_axis) for old, new in renamed if old in kept}
        self.entry.confidence = None
        if confidence is not None and confidence.version in versions:
            self.entry.confidence = Confidence(
                versions[confidence.version],
                self._take(confidence.p_label, at, self.member_axis),
                self._take(confidence.class_mass, at, 0),
                self._take(confidence.class_variance, at, 0),
            )


class BlockLogits(Protocol):
    """A stack of m models with q classes on a block of b rows; k = m q columns, model by model.

    `prepared` are weights from `Rows.prepare`, `bias` is (k,). `point`, `direction` and the like name parameters whose
    logits are kept; logits that are missing are computed again.

    The logits of a point are `W @ X.T + bias + offset` for rows with an offset (`Block.offset`), those of a direction
    `W @ X.T + bias`.
    """

    # --- kept logits --------------------------------------------------------------------------------------------

    def keep(self, prepared: BackendArray, bias: Array, point: ParameterPoint, replaces: tuple[int, ...]) -> None:
        """Keep the logits of a point or a direction, in place of the versions that it replaces."""
        ...

    def loss_and_gradient(self, prepared: BackendArray, bias: Array, version: int, replaces: tuple[int, ...]) -> Sums:
        """Return loss (m,), residual (k,) and residual times rows (k, d) from one reading; the logits are kept."""
        ...

    def difference(self, ahead: ParameterPoint, here: ParameterPoint, version: int, replaces: tuple[int, ...]) -> None:
        """Replace the logits at `ahead` by their differences from those at `here`, kept under this version."""
        ...

    def eval_along(self, point: ParameterPoint, direction: ParameterPoint, t: Array) -> Sums:
        """Return value, slope and curvature (m,) at steps t (m,) along the direction."""
        ...

    def take_step(self, point: ParameterPoint, direction: ParameterPoint, t: Array, version: int) -> None:
        """Turn the logits of `point` into those of `version`, steps t (m,) along the direction."""
        ...

    def shift_bias(self, point: ParameterPoint, shift: Array, version: int) -> None:
        """Turn the logits of `point` into those of `version`, which has a bias shifted by (m, q)."""
        ...

    def drop_members(self, keep: Array, renamed: tuple[tuple[int, int], ...]) -> None:
        """Keep the models of this mask; of all versions only the renamed ones (old, new) stay."""
        ...

    def gradient(self, point: ParameterPoint, shift: Array | None) -> Sums:
        """Return loss (m,), residual times rows (k, d), and two sums of the residual, (k,) and (m, q).

        The first is the sum of the numbers that were multiplied, the second of those before rounding. With a shift (m,
        q) of the logits the softmax is computed in float64.

        Returns
        -------
        tuple of ndarray
        """
        ...

    def bias_sums(self, point: ParameterPoint, shift: Array) -> Sums:
        """Return residual (m, q) and curvature in the bias (m, q, q) at shifted logits, in float64."""
        ...

    def entropy(self, point: ParameterPoint, shift: Array, share: Array) -> Sums:
        """Return the entropy (m,) of `Q = Y + share * (P - Y)` plus `<Q - Y, offset>` at shifted logits; share (m,)."""
        ...

    def confidence(self, point: ParameterPoint) -> tuple[Array, Array, Array]:
        """Return the probability of each label (m, b), and the sums of `V p` and `V p (1 - p)` of each class (m, q)."""
        ...

    def logits(self, point: ParameterPoint) -> Array:
        """Return the logits (m, q, b)."""
        ...

    def select(self, point: ParameterPoint, models: Array, rows: Array) -> Array:
        """Return the logits (r, q) of r rows of the block, each of the model with its index (r,)."""
        ...

    # --- logits computed again on each call ---------------------------------------------------------------------

    def recomputed_loss_and_gradient(self, prepared: BackendArray, bias: Array, version: int) -> Sums:
        """Return the sums of `loss_and_gradient`; the confidence at this version is kept, the logits are not."""
        ...

    def recomputed_confidence(self, point: ParameterPoint) -> tuple[Array, Array, Array]:
        """Return what `confidence` returns: as kept from the last pass, or from another pass over the block."""
        ...

    def recomputed_along(self, here: tuple[BackendArray, Array], step: tuple[BackendArray, Array]) -> Sums:
        """Return the sums of `eval_along` from prepared weights and bias of the point and of the direction.

        Only the logits of the point have the offset.

        Returns
        -------
        tuple of ndarray
        """
        ...

    def recomputed_bias_sums(self, prepared: BackendArray, bias: Array, full: bool) -> Sums:
        """Return residual (m, q), and the sum of `V p p^T` (m, q, q) if `full`, otherwise of `V p (1 - p)` (m, q).

        Of the matrix only the part below the diagonal counts.
        """
        ...
