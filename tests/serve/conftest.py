"""Models of every kind of column, and a client of the application in this process."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from softreg import SoftmaxRegression, TableClassifier

from .small_models import fitted, mixed_table, small_table

MISSING = [name for name in ("msgspec", "uvicorn", "httpx") if find_spec(name) is None]
if MISSING:  # the command itself is tested in tests/cli
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def mixed() -> tuple[TableClassifier, pa.Table]:
    """A model of every kind of column, with intervals, and its table."""
    table = mixed_table()
    model = fitted(table, text="note", category="zip", date="since")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.keep_intervals(table)
    return model, table


@pytest.fixture(scope="session")
def small() -> tuple[TableClassifier, pa.Table]:
    """A model of three columns, without intervals."""
    return fitted(small_table()), small_table()


@pytest.fixture(scope="session")
def array_model() -> tuple[SoftmaxRegression, np.ndarray]:
    """A model of an array with integer labels."""
    draw = np.random.default_rng(1)
    X = draw.normal(size=(90, 3))
    return SoftmaxRegression(0.01).fit(X, (X[:, 0] > 0) + 2 * (X[:, 1] > 0.5)), X


class Client:
    """A client of an application in this process."""

    def __init__(self, application: Any) -> None:
        self.application = application

    def __call__(self, method: str, path: str, **options: Any) -> Any:
        import httpx

        async def send() -> Any:
            transport = httpx.ASGITransport(self.application)
            async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
                return await client.request(method, path, **options)

        return asyncio.run(send())

    def rows(self, rows: list[Any], path: str = "/predict", **others: Any) -> Any:
        return self("POST", path, json={"rows": rows, **others})

    def body(self, body: bytes | str, path: str = "/predict") -> Any:
        return self("POST", path, content=body, headers={"content-type": "application/json"})


@pytest.fixture
def open_client(tmp_path: Path) -> Callable[..., Client]:
    """Save models by name, and return a client of a service of them."""
    from softreg.serve.application import Application
    from softreg.serve.served_models.registry import ModelRegistry
    from softreg.serve.settings import ServeSettings

    def opened(token: bytes | None = None, settings: dict[str, Any] | None = None, **models: Any) -> Client:
        named = []
        for name, model in models.items():
            path = tmp_path / f"{name}.softreg"
            model.save(path)
            named.append((name, str(path)))
        chosen = ServeSettings(tuple(named), **(settings or {}))
        return Client(Application(chosen, ModelRegistry.open(chosen.models), token))

    return opened
