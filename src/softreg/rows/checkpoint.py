"""A checkpoint: the recorded sums over rows, from which an interrupted fit resumes.

A solver depends on the data through sums alone. So the checkpoint records the sums: a resumed fit receives the recorded
ones in turn, without reading the rows, and computes those that follow. The result is the same to the last bit, whatever
the solver.

Each record is appended with its length and a checksum; an incomplete one is dropped. Before the first new sum, the
last recorded one is computed again and must be the same: then rows, weights, model and machine have not changed. What
blocks keep between sums is not recorded: logits and confidence are computed again where they are missing.
"""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

from softreg.atomic_files import atomic_path
from softreg.rows.logits import Sums
from softreg.rows.protocol import Reduction, Rows
from softreg.typing import Array

NAME = "softreg-checkpoint"
"""The file in the folder of a checkpoint."""
HEAD = 12
"""Bytes of a record before its arrays: 8 of their length, 4 of their checksum."""
LONGEST = 1 << 22
"""Arrays of more numbers (a number a row, say) are not kept but computed anew."""


class Changed(ValueError):
    """A checkpoint that belongs to another fit."""


class CheckpointLog:
    """The sums of one fit, in a file of the folder; `fit` is what must be the same to go on, as strict JSON."""

    def __init__(self, folder: Path, fit: dict[str, Any]) -> None:
        self.path, self.place = folder / NAME, 0
        folder.mkdir(parents=True, exist_ok=True)
        self.done: list[list[Array]] = []
        self.last: tuple[int, Callable[[], list[Array]]] | None = None
        """Position of the last recorded sum that was used, and the function that computes it."""
        told = json.dumps(fit, sort_keys=True, allow_nan=False).encode()
        if self.path.exists():
            self._load(told, fit)
        else:
            with atomic_path(self.path) as draft:
                draft.write_bytes(_record(told))
        self.file = open(self.path, "ab", buffering=0)  # noqa: SIM115
        self._claim()

    def _claim(self) -> None:
        """Raise `Changed` where another process writes to this file."""
        if fcntl is None:
            return
        try:
            fcntl.flock(self.file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.file.close()
            raise Changed(f"another fit is at work on the checkpoint in {str(self.path.parent)!r}.") from None

    def _load(self, told: bytes, fit: dict[str, Any]) -> None:
        data = self.path.read_bytes()
        header, end = _next(data, 0)
        if header != told:
            raise Changed(
                f"the checkpoint in {str(self.path.parent)!r} belongs to another fit{_difference(header, fit)}. Name "
                f"another folder, or remove {self.path.name!r} there to begin anew."
            )
        while True:
            record, after = _next(data, end)
            if record is None:
                break
            self.done.append(_unpacked(record))
            end = after
        if end < len(data):  # killed while it was being written
            with open(self.path, "rb+") as file:
                file.truncate(end)

    def given(self, compute: Callable[[], list[Array]]) -> list[Array]:
        """Return the next arrays: the recorded ones, or those of `compute`, which are then recorded."""
        if self.place < len(self.done):
            self.last = (self.place, compute)
            self.place += 1
            return [a.copy(order="K") for a in self.done[self.place - 1]]
        self._verify()
        found = compute()
        if sum(a.size for a in found) <= LONGEST:
            self.file.write(_record(_packed(found)))
            self.done.append([])
            self.place += 1
        return found

    def _verify(self) -> None:
        """Raise `Changed` unless the last recorded sum is what the rows give now."""
        if self.last is not None:
            place, compute = self.last
            if [a.tobytes() for a in self.done[place]] != [a.tobytes() for a in compute()]:
                raise Changed(
                    f"the checkpoint in {str(self.path.parent)!r} does not fit to these rows: a sum over them is not "
                    "what it was. A source must give the same rows in the same order again, on a like machine; remove "
                    f"{self.path.name!r} there to begin anew."
                )
        self.last, self.done[: self.place] = None, [[]] * self.place

    def close(self, finished: bool) -> None:
        """The end of the fit, or of the wish to go on with it: then the file goes."""
        self.file.close()
        if finished:
            self.path.unlink(missing_ok=True)


class CheckpointRows:
    """Rows whose sums are those of a log as far as it goes."""

    fits_in_memory = False  # what blocks would keep is not in the log

    def __init__(self, rows: Rows, log: CheckpointLog) -> None:
        self.rows, self.log = rows, log
        self.n, self.d, self.dtype = rows.n, rows.d, rows.dtype

    def sum(self, reduction: Reduction[Sums]) -> Sums:
        """Return the results of all blocks, added; the recorded sum where there is one."""
        return tuple(self.log.given(lambda: [np.asarray(a) for a in self.rows.sum(reduction)]))

    def map(self, reduction: Reduction[Array]) -> Array:
        """Return the results of all blocks, concatenated; the recorded array where there is one."""
        return self.log.given(lambda: [np.asarray(self.rows.map(reduction))])[0]

    def precise(self, shift: Array | None = None, scale: Array | None = None, dtype: Any = None) -> CheckpointRows:
        """The same rows, each block shifted, scaled and cast before it is multiplied."""
        self.log.last = None
        return CheckpointRows(self.rows.precise(shift, scale, dtype), self.log)

    def labelled(self, labels: Array, weights: Array | None) -> CheckpointRows:
        """The same rows with other labels and weights."""
        return CheckpointRows(self.rows.labelled(labels, weights), self.log)

    def row_squares(self) -> Array | None:
        """None: these rows come in blocks."""
        return None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rows, name)


def _record(payload: bytes) -> bytes:
    return len(payload).to_bytes(8, "little") + zlib.crc32(payload).to_bytes(4, "little") + payload


def _next(data: bytes, start: int) -> tuple[bytes | None, int]:
    """The record that begins at `start`, and where the next one does; None where it is not whole."""
    size = int.from_bytes(data[start : start + 8], "little")
    payload = data[start + HEAD : start + HEAD + size]
    whole = start + HEAD <= len(data) and len(payload) == size
    if not whole or zlib.crc32(payload).to_bytes(4, "little") != data[start + 8 : start + HEAD]:
        return None, start
    return payload, start + HEAD + size


def _packed(arrays: list[Array]) -> bytes:
    out = io.BytesIO()
    for array in arrays:
        np.lib.format.write_array(out, array, allow_pickle=False)
    return out.getvalue()


def _unpacked(payload: bytes) -> list[Array]:
    source, arrays = io.BytesIO(payload), []
    while source.tell() < len(payload):
        arrays.append(np.lib.format.read_array(source, allow_pickle=False))
    return arrays


def _difference(header: bytes | None, fit: dict[str, Any]) -> str:
    """What differs, in words."""
    try:
        before = json.loads(header or b"")
    except ValueError:
        return ", or is damaged"
    names = [name for name in fit if before.get(name) != fit[name]]
    return f" ({names[0]} was {before.get(names[0])}, now {fit[names[0]]})" if names else ""
