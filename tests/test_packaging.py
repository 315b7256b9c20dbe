"""The two commands, the continuous check and the package's description of itself."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

import softreg

ROOT = Path(__file__).resolve().parents[1]
Make = Callable[..., subprocess.CompletedProcess[str]]

# A Python that makes no environment but one whose `python` and `softreg` write down what they were asked for.
STAND_IN = """#!/bin/sh
case "$1" in
  -c) exit {too_old} ;;
  --version) echo "Python {version}" ;;
  -m) mkdir -p .venv/bin
      for tool in python softreg; do
        printf '#!/bin/sh\\necho "%s $*" >> log\\n' "$tool" > .venv/bin/$tool; chmod +x .venv/bin/$tool
      done ;;
esac
"""


@pytest.fixture(scope="module")
def pyproject() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """`make` in a folder with the project's Makefile and a Python that only writes down its work."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)

    def run(*arguments: str, version: str = "3.12.1") -> subprocess.CompletedProcess[str]:
        too_old = int(version < "3.11")
        python = tmp_path / "python-stand-in"
        python.write_text(STAND_IN.format(version=version, too_old=too_old), "utf-8")
        python.chmod(0o755)
        call = ["make", "--no-print-directory", f"PYTHON={python}", *arguments]
        own = ("MAKE", "PYTEST_ARGS", "TORCH", "SPARK")
        plain = {key: value for key, value in os.environ.items() if not key.startswith(own)}
        return subprocess.run(call, cwd=tmp_path, env=plain, capture_output=True, text=True, check=False)

    return run


def calls(folder: Path) -> list[str]:
    log = folder / "log"
    return log.read_text("utf-8").splitlines() if log.exists() else []


def test_help_is_the_default_and_lists_every_target(make: Make) -> None:
    shown = make().stdout
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert {
        *("help", "demo", "test", "quick", "docs", "messages", "bench", "bench-pass", "bench-tables", "lint", "clean")
    } == set(targets)
    for target in targets:
        assert re.search(rf"^ +{target}\s+\S", shown, re.MULTILINE), f"{target} is not told by make help"
    assert shown == make("help").stdout


def test_demo_installs_once_and_runs_the_command(make: Make, tmp_path: Path) -> None:
    assert make("demo").returncode == 0
    assert calls(tmp_path) == ["python -m pip install --quiet -e .", "softreg demo"]
    make("demo")
    assert calls(tmp_path)[2:] == ["softreg demo"]


def test_test_installs_again_when_pyproject_changes(make: Make, tmp_path: Path) -> None:
    timing, others = "python -m pytest -m timing", "python -m pytest -m not timing -n auto --dist worksteal"
    make("test", "PYTEST_ARGS=-k entropy")
    install = "python -m pip install --quiet -e .[test]"
    assert calls(tmp_path) == [install, f"{timing} -k entropy", f"{others} -k entropy"]
    make("test")
    assert calls(tmp_path)[3:] == [timing, others]
    later = (tmp_path / ".venv" / ".test").stat().st_mtime + 5
    os.utime(tmp_path / "pyproject.toml", (later, later))
    make("test")
    assert calls(tmp_path)[5:] == [install, timing, others]


def test_lint_checks_style_formatting_and_types(make: Make, tmp_path: Path) -> None:
    make("lint")
    assert calls(tmp_path)[1:] == [
        "python -m ruff check .",
        "python -m ruff format --check .",
        "python -m mypy",
    ]


def test_a_failing_step_fails_the_target(make: Make, tmp_path: Path) -> None:
    make("demo")
    (tmp_path / ".venv" / "bin" / "softreg").write_text("#!/bin/sh\nexit 3\n", "utf-8")
    assert make("demo").returncode != 0


def test_an_old_python_is_refused_with_the_way_out(make: Make, tmp_path: Path) -> None:
    refused = make("demo", version="3.10.4")
    assert refused.returncode != 0
    assert "needs Python 3.11 or newer" in refused.stderr
    assert "Python 3.10.4" in refused.stderr
    assert "make PYTHON=" in refused.stderr
    assert not (tmp_path / ".venv").exists()


def test_a_missing_python_is_told(make: Make, tmp_path: Path) -> None:
    refused = make("test", "PYTHON=no-such-python")
    assert refused.returncode != 0
    assert "there is no 'no-such-python' here" in refused.stderr
    assert not (tmp_path / ".venv").exists()


def test_clean_leaves_no_trace(make: Make, tmp_path: Path) -> None:
    for folder in ("src/softreg/__pycache__", "tests", "demo"):
        (tmp_path / folder).mkdir(parents=True)
    make("demo")
    assert make("clean").returncode == 0
    assert sorted(p.name for p in tmp_path.iterdir() if p.name not in {"log", "python-stand-in"}) == [
        "Makefile", "pyproject.toml", "src", "tests",
    ]  # fmt: skip
    assert not (tmp_path / "src/softreg/__pycache__").exists()


def test_the_continuous_check_is_the_tests_then_the_site_then_lint() -> None:
    script = ROOT / ".ci" / "run"
    lines = script.read_text("utf-8").splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    assert "set -euo pipefail" in lines
    made = [line for line in lines if line.startswith("make")]
    assert made == ["make test TORCH=2.13.0 SPARK=4.3.0", "make docs", "make lint"]
    assert os.access(script, os.X_OK)


def test_versions_agree(pyproject: dict) -> None:
    assert pyproject["project"]["dynamic"] == ["version"]  # read from the one place where it stands
    assert pyproject["tool"]["hatch"]["version"]["path"] == "src/softreg/version.py"
    assert softreg.__version__ == metadata.version("softreg")


def test_the_changelog_has_this_version_or_unreleased_changes() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert "Keep a Changelog" in changelog
    assert re.search(rf"^## \[({re.escape(softreg.__version__)}|Unreleased)\]", changelog, re.MULTILINE)


def test_the_command_is_declared_and_types_are_shipped(pyproject: dict) -> None:
    assert pyproject["project"]["scripts"] == {"softreg": "softreg.cli:main"}
    assert (ROOT / "src" / "softreg" / "py.typed").exists()
    assert pyproject["project"]["license"] == "BSD-3-Clause"
    assert (ROOT / "LICENSE").read_text("utf-8").startswith("BSD 3-Clause License")


def test_contributing_opens_with_where_a_change_goes() -> None:
    headings = re.findall(r"^#+ (.*)$", (ROOT / "CONTRIBUTING.md").read_text("utf-8"), re.MULTILINE)
    assert headings[1] == "Where does my change go?"


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/cli.md"])
def test_links_within_the_project_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    links = re.findall(r"\]\(([^)#\s]+)", text)
    broken = [link for link in links if "://" not in link and not (ROOT / page).parent.joinpath(link).exists()]
    assert not broken, f"{page} points at files that are not there: {broken}"
