"""What every test may ask for."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("shared machines", deadline=None)  # pauses of a shared machine prove nothing of an example
settings.load_profile("shared machines")

ROOT = Path(__file__).resolve().parents[1]


def pytest_configure(config: pytest.Config) -> None:
    """Handle SIGINT as in a terminal, also where the tests were started in the background of a shell.

    A shell lets its background jobs ignore SIGINT, and child processes inherit an ignored signal. With a handler
    set here, the tests receive KeyboardInterrupt and the programs that they start have the default action.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real data beside the project; a test that asks for it skips where it is missing."""
    folder = Path(os.environ.get("SOFTREG_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"the real data are not here: no folder {folder.name!r} beside the project (or set SOFTREG_DATA)")
    return folder


@pytest.fixture(scope="session")
def spark() -> Iterator[Any]:
    """A session of Spark with two workers on this machine; a test that asks for it skips where Spark cannot run."""
    if find_spec("pyspark") is None:
        pytest.skip("PySpark is not installed")
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        pytest.skip("Java is not installed, which Spark needs")
    from pyspark.sql import SparkSession

    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]  # workers import tasks that tests define
    options = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
    }
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PYSPARK_PYTHON", sys.executable)
        environment.setenv("PYTHONPATH", os.pathsep.join(paths))
        session = SparkSession.builder.master("local[2]").config(map=options).getOrCreate()
        session.sparkContext.setLogLevel("OFF")
        yield session
        session.stop()
