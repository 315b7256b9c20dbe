"""Every example that a reader can see runs: in docstrings, in the README and in the pages of `docs/`.

The rules for a Markdown page: its blocks marked `python` run in order in one namespace; one marked
`python no-run` is left out. Where a block marked `text` follows a python block directly, it is what the
python block prints, to the letter; marked `text varies` (seconds, versions), something must be printed.

A block marked `console` has commands behind `$ `, and what they print on stdout. A `console` block without a command
goes on with the output of the one before. A line `...` stands for any lines, and blank lines do not count. Numbers may
differ by one in their last digit or their sixth significant digit, integers below 100 not at all; seconds and numbers
like 1e-07 may have any value. `console no-run` is left out.

No block may need the data beside the project: who reads the page has no such folder. A page whose first line is
`<!-- data: NAME -->` tells its readers where to get the data; here it finds them under that name, and is skipped where
they are missing. `<!-- data: NAME as OTHER; slow -->` gives another name; it and `<!-- slow -->` mark a page that takes
more than ten seconds.
"""

from __future__ import annotations

import contextlib
import doctest
import importlib
import io
import os
import pkgutil
import re
import subprocess
import sys
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import softreg

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    p
    for p in [*ROOT.glob("README*.md"), ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md")]
    if p.is_file() and p.parent.name != "notebooks"  # tests/test_notebooks.py runs these
)
MODULES = ["softreg", *sorted(m.name for m in pkgutil.walk_packages(softreg.__path__, "softreg."))]
WITH_SPARK = ("softreg.rows.cluster.spark_engine", "softreg.spark")  # their examples need Java
DATA = re.compile(r"\A<!-- data: (?P<name>[^\s;]+)(?: as (?P<shown>[^\s;]+))?(?:; slow)? -->\n")
SLOW = re.compile(r"\A<!-- .*\bslow -->\n")
NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?")
SIGNIFICANT_DIGITS = 6
LEAST_ROUNDED = 100  # integers below are counts, and equal
SECONDS_OF_A_COMMAND = 900  # three searches of terms on the bank file, beside other work
FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<body>.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Example:
    """A python block of a page, the line where it starts, and what it is to print (None: anything)."""

    line: int
    code: str
    printed: str | None = None
    varies: bool = False


def examples(text: str) -> list[Example]:
    blocks = list(FENCE.finditer(text))
    found = []
    for i, block in enumerate(blocks):
        if block["info"].split() != ["python"]:
            continue
        after = blocks[i + 1] if i + 1 < len(blocks) else None
        if after is not None and text[block.end() : after.start()].strip():
            after = None  # prose in between: another block's business
        info = after["info"].split() if after is not None else []
        line = text.count("\n", 0, block.start("body")) + 1
        printed = after["body"] if after is not None and info[:1] == ["text"] else None
        found.append(Example(line, block["body"], printed, varies=info == ["text", "varies"]))
    return found


def unseen(text: str) -> list[str]:
    """Fences that look like Python and are neither run nor marked: indented, misspelt, or marked by a stranger."""
    looks = [m[0] for m in re.finditer(r"^.*```[ \t]*(?i:py|ipy)[^\n]*$", text, re.MULTILINE)]
    return [fence for fence in looks if fence.rstrip() not in ("```python", "```python no-run")]


def run_page(text: str, name: str) -> None:
    """Run the examples of a page; an `AssertionError` names the page and line of the first that fails."""
    namespace: dict[str, Any] = {"__name__": "__page__"}
    console = Console(name)
    for example in sorted([*examples(text), *console_blocks(text)], key=lambda block: block.line):
        if isinstance(example, Example):
            run_python(example, name, namespace)
        else:
            console.run(example)
    console.end()


def run_python(example: Example, name: str, namespace: dict[str, Any]) -> None:
    # the empty lines let a traceback show the page's own line numbers
    code = compile("\n" * (example.line - 1) + example.code, name, "exec")
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(code, namespace)
    where = f"{name}, the block at line {example.line}"
    if example.varies:
        assert out.getvalue().strip(), f"{where} prints nothing"
    elif example.printed is not None:
        assert tidy(out.getvalue()) == tidy(example.printed), f"{where} prints:\n{out.getvalue()}"


@dataclass(frozen=True)
class ConsoleBlock:
    """A console block of a page, and the line where it starts."""

    line: int
    lines: list[str]


def console_blocks(text: str) -> list[ConsoleBlock]:
    return [
        ConsoleBlock(text.count("\n", 0, block.start("body")) + 1, block["body"].rstrip("\n").split("\n"))
        for block in FENCE.finditer(text)
        if block["info"].split() == ["console"]
    ]


@dataclass
class Console:
    """Runs the commands of a page, and compares what they print with the lines behind them."""

    page: str
    printed: list[str] = field(default_factory=list)  # output of the last command that the page has not shown yet
    skipping: bool = False
    where: str = ""

    def run(self, block: ConsoleBlock) -> None:
        for number, line in enumerate(block.lines, start=block.line):
            if line.startswith("$ "):
                self.end()
                self.where = f"{self.page}, the command at line {number}"
                self.printed = shell(line.removeprefix("$ "), self.where)
            elif line.strip() == "...":
                self.skipping = True
            elif line.strip():
                self._show(line, f"{self.page}, line {number}: {line!r}")

    def end(self) -> None:
        """Check that the page has shown all that the last command printed."""
        if self.printed and not self.skipping:
            raise AssertionError(f"{self.where}, prints more:\n" + "\n".join(self.printed))
        self.skipping = False

    def _show(self, line: str, where: str) -> None:
        same = [same_line(line, printed) for printed in (self.printed if self.skipping else self.printed[:1])]
        if not any(same):
            raise AssertionError(f"{where} is not what {self.where}, prints:\n" + "\n".join(self.printed))
        self.printed = self.printed[same.index(True) + 1 :]
        self.skipping = False


def shell(command: str, where: str) -> list[str]:
    """Run a command as in a shell where softreg and python are installed; return the lines of its stdout."""
    functions = 'softreg() { "$PYTHON" -m softreg "$@"; }; python() { "$PYTHON" "$@"; }\n'
    environment = {**os.environ, "PYTHON": sys.executable, "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        ["sh", "-c", functions + command],
        env=environment, capture_output=True, encoding="utf-8", check=False, timeout=SECONDS_OF_A_COMMAND,
    )  # fmt: skip
    assert done.returncode == 0, f"{where}, ends with the exit code {done.returncode}:\n{done.stderr}"
    return [line for line in tidy(done.stdout) if line]


def same_line(shown: str, printed: str) -> bool:
    """Whether two lines have the same words, and numbers that differ by one in their last digit at most."""
    texts = [" ".join(NUMBER.sub("0", line).split()) for line in (shown, printed)]
    if texts[0] != texts[1]:
        return False
    if "seconds" in shown:
        return True
    return all(same_number(a, b) for a, b in zip(NUMBER.findall(shown), NUMBER.findall(printed), strict=True))


def same_number(a: str, b: str) -> bool:
    """Whether two numbers differ by one at most in the last digit, or in the sixth significant digit of long ones.

    Integers below 100 must be equal.
    """
    if "e" in a or "e" in b:
        return True
    x, y = (Decimal(number.replace(",", "")) for number in (a, b))
    if max(x, y) < LEAST_ROUNDED and "." not in a + b:
        return x == y
    digit = max(x.as_tuple().exponent, y.as_tuple().exponent, x.adjusted() - SIGNIFICANT_DIGITS + 1)
    return abs(x - y) <= Decimal(1).scaleb(digit)


def tidy(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip("\n").split("\n")]


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, so that examples can write files and find none of ours."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def printing() -> Any:
    """NumPy's way of printing is the process's; a page may set it for itself, and it ends with the page."""
    import numpy as np

    before = np.get_printoptions()
    yield
    np.set_printoptions(**before)


@pytest.mark.usefixtures("elsewhere", "printing")
@pytest.mark.parametrize(
    "module", [pytest.param(name, marks=[pytest.mark.slow] if name in WITH_SPARK else []) for name in MODULES]
)
def test_docstring_examples(module: str, request: pytest.FixtureRequest) -> None:
    if module.endswith("__main__"):  # importing it runs the program; it has no examples to run
        assert ">>>" not in (Path(softreg.__path__[0]) / "__main__.py").read_text("utf-8")
        return
    if module in WITH_SPARK:
        request.getfixturevalue("spark")
    if module.startswith("softreg.mlflow"):
        pytest.importorskip("mlflow.pyfunc", reason="mlflow-skinny is not installed")
        for name in ("MLFLOW_ALLOW_FILE_STORE", "MLFLOW_DISABLE_TELEMETRY"):  # a store in a folder needs no SQLAlchemy
            request.getfixturevalue("monkeypatch").setenv(name, "true")
    loaded = importlib.import_module(module)
    if not (loaded.__file__ or "").endswith(".py"):  # compiled kernels are described in rows/kernels/products.py
        return
    assert "+SKIP" not in Path(loaded.__file__ or "").read_text("utf-8"), "an example that is skipped proves nothing"
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        result = doctest.testmod(loaded, optionflags=doctest.ELLIPSIS)
    assert result.failed == 0, out.getvalue()


@pytest.mark.usefixtures("printing")
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(
            p, id=str(p.relative_to(ROOT)), marks=[pytest.mark.slow] if SLOW.match(p.read_text("utf-8")) else []
        )
        for p in PAGES
    ],
)
def test_the_code_of_a_page(page: Path, elsewhere: Path, request: pytest.FixtureRequest) -> None:
    text = page.read_text("utf-8")
    data = DATA.match(text)
    if data is not None:
        source = request.getfixturevalue("data_folder") / data["name"]
        if not source.exists():
            pytest.skip(f"the real data have no {data['name']!r}")
        (elsewhere / (data["shown"] or data["name"])).symlink_to(source)
    (elsewhere / "examples").symlink_to(ROOT / "examples")
    assert not unseen(text), f"{page.name} has Python that would not run: {unseen(text)}"
    for example in examples(text):
        assert "shared/data" not in example.code, f"{page.name}:{example.line} needs data that the reader has not"
    run_page(text, page.name)


def test_the_walkthrough_shows_all_that_it_prints() -> None:
    found = examples((ROOT / "docs" / "walkthrough.md").read_text("utf-8"))
    assert len(found) > 20
    silent = [e.line for e in found if "print(" in e.code and e.printed is None]
    assert not silent, f"blocks at lines {silent} print something that the page does not show"


def test_the_readme_shows_what_the_page_of_the_command_line_shows() -> None:
    """The figures of `train` in the README are those of docs/cli.md, which runs."""
    shown = [
        re.search(r"^  rows  .*?^  seconds  .*?$", (ROOT / page).read_text("utf-8"), re.MULTILINE | re.DOTALL)
        for page in ("README.md", "docs/cli.md")
    ]
    assert all(shown)
    assert len({block[0] for block in shown if block}) == 1


# The runner is shown bad pages first-hand: a check that cannot fail is none.


@pytest.mark.parametrize(
    ("page", "told"),
    [
        ("```python\nassert 1 == 2, 'so it is not'\n```\n", "so it is not"),
        ("```python\nprint(1)\n```\n```text\n2\n```\n", "page.md, the block at line 2 prints:"),
        (
            "x\n\n```python\nx = 1\n```\n```python\nprint(x)\n```\n\n```text\n2\n```\n",
            "block at line 7 prints",
        ),
        ("```python\npass\n```\n```text varies\n3 s\n```\n", "block at line 2 prints nothing"),
        (
            "```console\n$ echo 1\n2\n```\n",
            "page.md, line 3: '2' is not what page.md, the command at line 2, prints:\n1",
        ),
        ("```console\n$ echo 1\n$ echo 2\n2\n```\n", "the command at line 2, prints more:\n1"),
        ("```console\n$ echo 1\n```\n", "the command at line 2, prints more:\n1"),
        ("```console\n$ printf '1\\n2\\n3\\n'\n...\n2\n```\n", "prints more:\n3"),
        ("```console\n$ echo 1\n1\n```\nand\n```console\n1\n```\n", "line 7: '1' is not what"),
        ("```console\n$ no_such_command_here\n```\n", "the command at line 2, ends with the exit code 127"),
        ("```console\n$ echo 0.75 of 1,000\n0.74 of 1,002\n```\n", "line 3"),
        ("```console\n$ echo 8.6655\n8.6648\n```\n", "line 3"),
        ("```console\n$ echo 0.9633599363430728\n0.9633619363430728\n```\n", "line 3"),
    ],
)
def test_a_bad_page_fails(page: str, told: str) -> None:
    with pytest.raises(AssertionError, match=re.escape(told)):
        run_page(page, "page.md")


def test_python_that_would_not_run_is_seen() -> None:
    for fence in ("  ```python", "```py", "```pycon", "```python norun", "1. ```python", "```Python"):
        assert unseen(f"{fence}\n1 / 0\n```\n") == [fence]
    assert unseen("```python\n```\n```python no-run\n```\n```sh\n```\n") == []


def test_what_is_no_example_does_not_run() -> None:
    assert examples("```python no-run\n1 / 0\n```\n```sh\nls\n```\n```text\n>>> 1 / 0\n```\n") == []
    run_page("```python\nprint(1)\n```\nand then\n```text\n2\n```\n", "page.md")  # not its output: prose in between
    run_page("```python\nprint(1)\n```\n```text varies\n2\n```\n", "page.md")


def test_a_console_block_shows_what_its_commands_print(elsewhere: Path) -> None:
    run_page("```console\n$ echo 1 > a\n$ printf '1\\n2\\n3\\n'\n1\n```\n so\n```console\n...\n3\n```\n", "page.md")
    run_page("```python\nassert open('a').read() == '1\\n'\n```\n```console\n$ cat a\n1\n```\n", "page.md")
    code = "print(0.7512, 1005, 3e-8, 0.9633599363430728); print(9.5, 'seconds')"
    shown = "0.7511  1,004 1e-7 0.9633602\n1.2 seconds"
    run_page(f'```console\n$ python -c "{code}"\n{shown}\n```\n', "page.md")
    run_page("```console no-run\n$ no_such_command_here\n```\n", "page.md")
    assert (elsewhere / "a").is_file()


def test_blocks_share_one_namespace_and_errors_show_the_line() -> None:
    run_page("```python\na = 1\n```\n```python\nassert a == 1\n```\n", "page.md")
    with pytest.raises(ZeroDivisionError) as caught:
        run_page("one\n\n```python\na = 0\n1 / a\n```\n", "page.md")
    assert caught.traceback[-1].lineno + 1 == 5
