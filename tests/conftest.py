"""What every test may ask for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real data beside the project; a test that asks for it skips where it is missing."""
    folder = Path(os.environ.get("SOFTREG_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"the real data are not here: no folder {folder.name!r} beside the project (or set SOFTREG_DATA)")
    return folder
