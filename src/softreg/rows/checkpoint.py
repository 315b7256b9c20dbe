"""A checkpoint: the recorded sums over rows, from which an interrupted fit resumes.

A solver depends on the data through sums alone, so the checkpoint records the sums. A resumed fit receives the recorded
ones in turn, without reading the rows, and computes those that follow. The result is the same to the last bit for every
solver.

Each record is appended with its length and a checksum; an incomplete one is dropped. Before the first new sum, the
last recorded one is computed again and must be the same: then rows, weights, model and machine have not changed. Logits
and confidence are not recorded; they are computed again where they are missing.
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
from softreg.rows.backend_protocol import Reduction, Rows
from softreg.rows.logits import Sums
from softreg.typing import Array

FILE_NAME = "softreg-checkpoint"
"""Name of the file in the folder of a checkpoint."""
HEADER_BYTES = 12
"""Bytes of a record before its arrays: 8 for their length, 4 for their checksum."""
MAX_RECORDED_NUMBERS = 1 << 22
"""Results with more numbers than this (such as one number per row) are computed again, not recorded."""


class CheckpointMismatchError(ValueError):
    """A checkpoint belongs to another fit, or to other rows."""


class CheckpointLog:
    """The recorded sums of one fit, in a file of the folder.

    Parameters
    ----------
    folder : Path
        The folder, which is created if necessary.
    fit : dict
        Description of the fit as strict JSON; a fit resumes only under the same description.

    Raises
    ------
    CheckpointMismatchError
        If the file belongs to another fit, or another process writes to it.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> log = CheckpointLog(Path(mkdtemp()), {"strength": 0.1})
    >>> log.recorded_or_computed(lambda: [np.ones(2)])
    [array([1., 1.])]
    >>> log.close(finished=True)
    """

    def __init__(self, folder: Path, fit: dict[str, Any]) -> None:
        self.path, self.position = folder / FILE_NAME, 0
        folder.mkdir(parents=True, exist_ok=True)
        self.recorded: list[list[Array]] = []
        self.last: tuple[int, Callable[[], list[Array]]] | None = None
        """Position of the last recorded sum that was used, and the function that computes it."""
        description = json.dumps(fit, sort_keys=True, allow_nan=False).encode()
        if self.path.exists():
            self._load(description, fit)
        else:
            with atomic_path(self.path) as draft:
                draft.write_bytes(_record(description))
        self.file = open(self.path, "ab", buffering=0)  # noqa: SIM115
        self._lock()

    def _lock(self) -> None:
        """Lock the file; raise `CheckpointMismatchError` if another process has locked it."""
        if fcntl is None:
            return
        try:
            fcntl.flock(self.file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.file.close()
            raise CheckpointMismatchError(
                f"another fit is at work on the checkpoint in {str(self.path.parent)!r}."
            ) from None

    def _load(self, description: bytes, fit: dict[str, Any]) -> None:
        data = self.path.read_bytes()
        header, end = _read_record(data, 0)
        if header != description:
            raise CheckpointMismatchError(
                f"the checkpoint in {str(self.path.parent)!r} belongs to another fit{_difference(header, fit)}. Name "
                f"another folder, or remove {self.path.name!r} there to begin anew."
            )
        while True:
            record, after = _read_record(data, end)
            if record is None:
                break
            self.recorded.append(_unpack(record))
            end = after
        if end < len(data):  # the process was killed while it wrote the record
            with open(self.path, "rb+") as file:
                file.truncate(end)

    def recorded_or_computed(self, compute: Callable[[], list[Array]]) -> list[Array]:
        """Return the next arrays: the recorded ones, or those of `compute`, which are then recorded."""
        if self.position < len(self.recorded):
            self.last = (self.position, compute)
            self.position += 1
            return [a.copy(order="K") for a in self.recorded[self.position - 1]]
        self._verify()
        arrays = compute()
        if sum(a.size for a in arrays) <= MAX_RECORDED_NUMBERS:
            self.file.write(_record(_pack(arrays)))
            self.recorded.append([])
            self.position += 1
        return arrays

    def _verify(self) -> None:
        """Raise `CheckpointMismatchError` unless the last recorded sum equals that of the present rows."""
        if self.last is not None:
            place, compute = self.last
            if [a.tobytes() for a in self.recorded[place]] != [a.tobytes() for a in compute()]:
                raise CheckpointMismatchError(
                    f"the checkpoint in {str(self.path.parent)!r} does not fit to these rows: a sum over them is not "
                    "what it was. A source must give the same rows in the same order again, on a like machine; remove "
                    f"{self.path.name!r} there to begin anew."
                )
        self.last, self.recorded[: self.position] = None, [[]] * self.position

    def close(self, finished: bool) -> None:
        """Close the file, and delete it if the fit has finished."""
        self.file.close()
        if finished:
            self.path.unlink(missing_ok=True)


class CheckpointRows:
    """Rows whose sums are read from a log as far as they are recorded there.

    Parameters
    ----------
    rows : Rows
    log : CheckpointLog

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from softreg.rows import as_rows
    >>> from softreg.rows.column_statistics import Labels
    >>> log = CheckpointLog(Path(mkdtemp()), {"strength": 0.1})
    >>> CheckpointRows(as_rows(np.eye(2), np.array([0, 1])), log).map(Labels())
    array([0, 1])
    >>> log.close(finished=True)
    """

    fits_in_memory = False  # the log does not record kept logits

    def __init__(self, rows: Rows, log: CheckpointLog) -> None:
        self.rows, self.log = rows, log
        self.n, self.d, self.dtype = rows.n, rows.d, rows.dtype

    def sum(self, reduction: Reduction[Sums]) -> Sums:
        """Return the results of all blocks, added; the recorded sum where there is one."""
        return tuple(self.log.recorded_or_computed(lambda: [np.asarray(a) for a in self.rows.sum(reduction)]))

    def map(self, reduction: Reduction[Array]) -> Array:
        """Return the results of all blocks, concatenated; the recorded array where there is one."""
        return self.log.recorded_or_computed(lambda: [np.asarray(self.rows.map(reduction))])[0]

    def precise(self, shift: Array | None = None, scale: Array | None = None, dtype: Any = None) -> CheckpointRows:
        """Return the same rows; each block is shifted, scaled and cast before it is multiplied."""
        self.log.last = None
        return CheckpointRows(self.rows.precise(shift, scale, dtype), self.log)

    def labelled(self, labels: Array, weights: Array | None) -> CheckpointRows:
        """Return the same rows with other labels and weights."""
        return CheckpointRows(self.rows.labelled(labels, weights), self.log)

    def row_squares(self) -> Array | None:
        """Return None: these rows are read block by block."""
        return None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rows, name)


def _record(payload: bytes) -> bytes:
    return len(payload).to_bytes(8, "little") + zlib.crc32(payload).to_bytes(4, "little") + payload


def _read_record(data: bytes, start: int) -> tuple[bytes | None, int]:
    """Return the record that starts at `start` and the position after it; None if it is incomplete."""
    size = int.from_bytes(data[start : start + 8], "little")
    payload = data[start + HEADER_BYTES : start + HEADER_BYTES + size]
    whole = start + HEADER_BYTES <= len(data) and len(payload) == size
    if not whole or zlib.crc32(payload).to_bytes(4, "little") != data[start + 8 : start + HEADER_BYTES]:
        return None, start
    return payload, start + HEADER_BYTES + size


def _pack(arrays: list[Array]) -> bytes:
    out = io.BytesIO()
    for array in arrays:
        np.lib.format.write_array(out, array, allow_pickle=False)
    return out.getvalue()


def _unpack(payload: bytes) -> list[Array]:
    source, arrays = io.BytesIO(payload), []
    while source.tell() < len(payload):
        arrays.append(np.lib.format.read_array(source, allow_pickle=False))
    return arrays


def _difference(header: bytes | None, fit: dict[str, Any]) -> str:
    """Return text that names the first parameter that differs."""
    try:
        before = json.loads(header or b"")
    except ValueError:
        return ", or is damaged"
    names = [name for name in fit if before.get(name) != fit[name]]
    return f" ({names[0]} was {before.get(names[0])}, now {fit[names[0]]})" if names else ""
