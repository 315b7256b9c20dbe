"""`softreg serve` without its extra, and its help; the service itself is tested in tests/serve."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


def test_without_the_extra_the_way_to_install_it_is_told(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("softreg.cli.commands.serve.find_spec", lambda name: None)
    done = run("serve", "model.softreg")
    assert done.exit_code == 2
    assert done.stderr == "softreg: `softreg serve` needs uvicorn and msgspec: pip install 'softreg[serve]'.\n"


def test_a_model_is_needed(run: Any) -> None:
    assert run("serve").exit_code == 2


def test_the_token_is_no_option(run: Any, tmp_path: Path) -> None:
    done = run("serve", "--help")
    assert done.exit_code == 0
    assert "--token-file" in done.stdout
    assert "--token " not in done.stdout
