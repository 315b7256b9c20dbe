"""The models of the service and their files: each is read again when its file changes, and replaced as a whole."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from softreg.export.page.page import page_html
from softreg.models.serialization.model_file import ModelFileError, read_model
from softreg.persistence import load
from softreg.serve.metrics import Gauge
from softreg.serve.requests.request_errors import RequestError
from softreg.serve.served_models.array_model import ServedArray
from softreg.serve.served_models.served_model import ServedModel
from softreg.serve.served_models.table_model import VERSION_DIGITS, ServedTable
from softreg.tables.columns.table_errors import quote_list

LOGGER = logging.getLogger("softreg.serve")
Signature = tuple[int, int, int, int]
"""Modification time in nanoseconds, size, inode and device of a file."""


def load_served_model(path: str) -> ServedModel:
    """Read a model file for the service.

    Parameters
    ----------
    path : str
        File.

    Returns
    -------
    ServedModel
        The model.

    Raises
    ------
    FileNotFoundError
        If there is no file.
    ModelFileError
        If the file is damaged, no model, or a model that cannot answer requests.
    """
    stored = read_model(path)
    try:
        if stored.kind == "table":
            return ServedTable(stored)
        return ServedArray(load(path), stored.checksum[:VERSION_DIGITS])
    except ModelFileError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, ArithmeticError) as error:
        reason = " ".join(str(error).split())
        raise ModelFileError(f"{os.path.basename(path)!r} holds no model that can be served: {reason}") from error


@dataclass
class ModelSlot:
    """A name, its file and the model that answers now.

    Attributes
    ----------
    name, path : str
        Name and file.
    model : ServedModel
        The model; requests in flight keep the one with which they began.
    signature : tuple of int or None
        Signature of the file when it was last looked at, whether it could be read or not.
    loaded, seconds : float
        Time when the model was loaded (Unix time), and duration of loading.
    reloads, failures : int
        Numbers of later versions that were loaded, and that could not be read.
    failing : bool
        Whether the present file could not be read, so that an older model answers.
    shown : tuple of (ServedModel, bytes), optional
        The page of a model, which is made when it is asked for.
    """

    name: str
    path: str
    model: ServedModel
    signature: Signature | None
    loaded: float
    seconds: float
    reloads: int = 0
    failures: int = 0
    failing: bool = False
    shown: tuple[ServedModel, bytes] | None = None

    def page(self) -> bytes:
        """Return the page of the model that answers now, which is made once for each version of it."""
        if self.shown is None or self.shown[0] is not self.model:
            self.shown = self.model, page_html(self.model.program()).encode()
        return self.shown[1]


@dataclass
class ModelRegistry:
    """The models by name.

    Attributes
    ----------
    slots : dict of str to ModelSlot
        Models by name.
    changes : int
        Number of replaced models, so that what is derived of them is made anew.
    """

    slots: dict[str, ModelSlot] = field(default_factory=dict)
    changes: int = 0

    @classmethod
    def open(cls, models: Sequence[tuple[str, str]]) -> ModelRegistry:
        """Load all models; raise `ModelFileError` or `OSError` for a file that cannot be read."""
        registry = cls()
        for name, path in models:
            signature, start = _signature(path), time.perf_counter()
            model = load_served_model(path)
            registry.slots[name] = ModelSlot(name, path, model, signature, time.time(), time.perf_counter() - start)
        return registry

    def __iter__(self) -> Iterator[ModelSlot]:
        return iter(self.slots.values())

    def get(self, name: str) -> ModelSlot:
        """Return a model; raise `RequestError` 404 for an unknown name."""
        slot = self.slots.get(name)
        if slot is None:
            raise RequestError(404, f"There is no model {name[:80]!r}; the models are {quote_list(list(self.slots))}.")
        return slot

    def only(self) -> ModelSlot:
        """Return the only model; raise `RequestError` 404 where there are several."""
        if len(self.slots) != 1:
            names = quote_list(list(self.slots))
            raise RequestError(404, f"There are several models; use /models/NAME/predict with one of {names}.")
        return next(iter(self.slots.values()))

    def check(self) -> None:
        """Look at each file and load those that have changed; a file that cannot be read leaves the model as it is."""
        for slot in self:
            signature = _signature(slot.path)
            if signature == slot.signature:
                continue
            slot.signature = signature
            self._reload(slot)

    def _reload(self, slot: ModelSlot) -> None:
        """Replace the model of a slot by that of its file."""
        start = time.perf_counter()
        try:
            model = load_served_model(slot.path)
        except (OSError, ValueError, MemoryError) as error:
            slot.failures += 1
            slot.failing = True
            reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
            LOGGER.error("model %r: the changed file was not loaded; the model before answers: %s", slot.name, reason)
            return
        slot.model, slot.failing = model, False
        slot.loaded, slot.seconds = time.time(), time.perf_counter() - start
        slot.reloads += 1
        self.changes += 1
        LOGGER.info("model %r: version %s loaded in %.3f s", slot.name, model.version, slot.seconds)

    def gauges(self) -> list[Gauge]:
        """Return the metrics of the models."""
        slots = list(self)
        now = time.time()
        loads = [({"model": slot.name, "version": slot.model.version}, 1.0) for slot in slots]
        return [
            ("softreg_model_info", "gauge", "Version of each model.", loads),
            _gauge("softreg_model_loaded_timestamp_seconds", "Unix time of loading.", slots, [s.loaded for s in slots]),
            _gauge("softreg_model_age_seconds", "Time since loading.", slots, [now - s.loaded for s in slots]),
            _gauge("softreg_model_load_seconds", "Duration of loading.", slots, [s.seconds for s in slots]),
            _gauge("softreg_model_failing", "1 if the file could not be read.", slots, [int(s.failing) for s in slots]),
            _gauge("softreg_model_reloads_total", "Models replaced.", slots, [s.reloads for s in slots], "counter"),
            _gauge("softreg_model_failures_total", "Files not read.", slots, [s.failures for s in slots], "counter"),
        ]


def _gauge(name: str, text: str, slots: list[ModelSlot], values: Sequence[float], kind: str = "gauge") -> Gauge:
    return name, kind, text, [({"model": slot.name}, value) for slot, value in zip(slots, values, strict=True)]


def _signature(path: str) -> Signature | None:
    """Return the signature of a file, None if there is none."""
    try:
        state = os.stat(path)
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size, state.st_ino, state.st_dev
