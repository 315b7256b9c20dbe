"""What every test may ask for."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

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
