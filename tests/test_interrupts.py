"""The tests of Ctrl-C also pass where a shell runs them in the background, with SIGINT ignored."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent


@pytest.mark.skipif(os.name != "posix", reason="only POSIX processes inherit ignored signals")
def test_an_ignored_sigint_is_handled_again() -> None:
    selected = [
        str(TESTS / "models" / "inputs" / "test_batches.py"),
        "-k",
        "ctrl_c_leaves_nothing",
        "-p",
        "no:cacheprovider",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *selected],
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
        capture_output=True,
        text=True,
        cwd=TESTS.parent,
    )
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout
