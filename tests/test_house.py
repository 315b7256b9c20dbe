"""The rules of the house: who may import whom, sizes, public names, and what never appears in the source.

Every rule is a small function from source text to complaints, and each is first shown a bad example:
a rule that cannot fail is none.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import is_dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

import softreg

SOURCE = Path(softreg.__file__).parent

# Top floor first. A room may import rooms of lower floors and itself, never one beside or above it.
FLOORS = (
    {"__main__"},
    {"cli"},
    {"serve"},
    {"mlflow"},
    {"persistence", "cards"},
    {"export", "linear_probe", "monitor"},
    {"tables", "report", "learn", "spark", "sklearn"},
    {"models"},
    {"optimize"},
    {"rows"},
    {"probability"},
)
# Leaves that every room may import.
FREE = {
    "deprecated",
    "exportable",
    "atomic_files",
    "files",
    "lazy",
    "linalg",
    "value_text",
    "splitmix",
    "splits",
    "typing",
    "canonical_values",
    "content_policy",
    "version",
}
ROOMS = (
    "probability", "rows", "optimize", "models", "tables", "report", "learn", "cards", "sklearn", "export",
    "linear_probe", "monitor", "serve", "mlflow",
)  # fmt: skip

# Within a room each package or file imports only those listed before it.
ORDER = {
    "files": "formats streams prefetch temporary_copies typed_files unclosed_quotes",
    "rows": (
        "parallel dual_variables logits backend_protocol column_statistics sampling checkpoint kernels memory ondisk "
        "cluster gpu"
    ),
    "optimize": (
        "cost problem objective certificate curvature dual many_classes solvers sparse_start certified_newton sgd "
        "problem_reduction firth_scoring gaussian_prior plan minimisation heldout_stopping stack_path"
    ),
    "models": (
        "inputs parameters serialization likelihood class_blocks estimators evidence selection calibration conformal "
        "inference"
    ),
    "tables": (
        "columns read_options formats images delimited json_files io schema row_selection encode statistics fit "
        "classifier word_explanation"
    ),
    "report": "groups evaluation figures page",
    "export": "export_errors probability_maps program build onnx sql javascript c page targets write_program",
    "linear_probe": (
        "files embedding_arrays label_values held_out_scores probe_result strength_path probe_inputs probe_function"
    ),
    "monitor": (
        "betting e_process calibration_test class_rates column_drift batch_summary verdict state_file column_inputs "
        "calibration_monitor page"
    ),
    "sklearn": "parameters penalty_scale binary_weights logistic_regression conversion",
    "serve": (
        "settings requests metrics served_models predict_rows inference_protocol page openapi application server"
    ),
    "cli": "console options data report_inputs commands",
}
MOST_FILES = 14  # of a folder, beside its __init__
SOURCE_ENDINGS = {".py", ".js", ".css", ".json"}

LONGEST_FILE = 330
LONGEST_FUNCTION = 45
NEVER_IMPORTED = {
    "pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "ctypes", "socket", "ssl", "http",
    "urllib", "requests", "httpx", "aiohttp", "ftplib", "smtplib",
}  # fmt: skip
NEVER_CALLED = {"eval", "exec", "compile", "__import__"}


def floor(room: str) -> int | None:
    return next((height for height, rooms in enumerate(reversed(FLOORS)) if room in rooms), None)


def room_of(name: str) -> str:
    """The room of a dotted module below softreg, or of a name that softreg itself offers."""
    first = name.split(".")[0]
    return softreg._DEFINED_IN.get(first, first)


def imported(tree: ast.Module, package: str) -> Iterator[tuple[int, str]]:
    """Yield (line, dotted name below softreg) of every import of softreg by a file of `package`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "softreg":
                    yield node.lineno, alias.name.partition(".")[2]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, *([node.module] if node.module else [])])
            if base == "softreg":
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif base.startswith("softreg."):
                yield node.lineno, base.removeprefix("softreg.")


def import_complaints(text: str, module: str, is_package: bool = False) -> list[str]:
    """What the imports of `module` (dotted, below softreg) break."""
    home = module.split(".")[0]
    package = f"softreg.{module}" if is_package else f"softreg.{module}".rpartition(".")[0]
    complaints = []
    for line, name in imported(ast.parse(text), package):
        room = room_of(name) if name else "softreg itself"
        if room == home or room in FREE:
            continue
        here, there = floor(home), floor(room)
        if home in FREE or here is None or there is None:
            complaints.append(f"{module}:{line} imports {room}, which has no floor or may not be used there")
        elif there >= here:
            complaints.append(f"{module}:{line} imports {room}, which is {'beside' if there == here else 'above'} it")
    return complaints


def order_complaints(text: str, module: str, order: Mapping[str, str] = ORDER) -> list[str]:
    """Imports of a package that stands after the importing one in the order of its room, type-only imports included."""
    room, _, rest = module.partition(".")
    if room not in order or not rest:
        return []
    places = {name: place for place, name in enumerate(order[room].split())}
    here = rest.split(".")[0]
    if here not in places:
        return [f"{module} is not listed in the order of {room}"]
    complaints = []
    for line, name in imported(ast.parse(text), f"softreg.{module}".rpartition(".")[0]):
        to, _, inner = name.partition(".")
        there = inner.split(".")[0]
        if to == room and there in places and places[there] > places[here]:
            complaints.append(f"{module}:{line} imports {room}.{there}, which comes after {room}.{here}")
    return complaints


def forbidden_complaints(text: str, module: str) -> list[str]:
    """Imports and calls through which a file could run code, or that reach for the network."""
    complaints = []
    for node in ast.walk(ast.parse(text)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        complaints += [f"{module}:{node.lineno} imports {n}" for n in names if n.split(".")[0] in NEVER_IMPORTED]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in NEVER_CALLED:
            complaints.append(f"{module}:{node.lineno} calls {node.func.id}")
    return complaints


def size_complaints(text: str, module: str) -> list[str]:
    """Files and functions that ask to be two."""
    tree = ast.parse(text)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    lines = len(text.splitlines()) - sum(docstring_lines(n) for n in ast.walk(tree) if isinstance(n, documented))
    complaints = [f"{module} has {lines} lines, more than {LONGEST_FILE}"] if lines > LONGEST_FILE else []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1 - docstring_lines(node)
            if length > LONGEST_FUNCTION:
                complaints.append(f"{module}:{node.lineno} {node.name} has {length} lines of code")
    return complaints


def folder_complaints(paths: Iterable[Path]) -> list[str]:
    """Folders with too many sources: Python, JavaScript, style sheets and texts."""
    sources = [path.parent for path in paths if path.suffix in SOURCE_ENDINGS and path.name != "__init__.py"]
    counts = Counter(sources)
    return [
        f"{folder} has {count} files, more than {MOST_FILES}" for folder, count in counts.items() if count > MOST_FILES
    ]


MATHEMATICS = {-1, 0, 1, 2, 3, 4, 10, 0.5}  # numbers that stand in formulas; others have a name that says what they are


def number_complaints(text: str, module: str) -> list[str]:
    """Numbers without a name inside functions; the default of a parameter has the name of the parameter."""
    complaints = []
    for function in ast.walk(ast.parse(text)):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for statement in function.body:
            nested = {
                id(default)
                for inner in ast.walk(statement)
                if isinstance(inner, ast.FunctionDef | ast.Lambda)
                for default in [*inner.args.defaults, *(d for d in inner.args.kw_defaults if d is not None)]
            }
            for node in ast.walk(statement):
                if not isinstance(node, ast.Constant) or type(node.value) not in (int, float) or id(node) in nested:
                    continue
                if node.value not in MATHEMATICS:
                    complaints.append(f"{module}:{node.lineno} has the number {node.value} without a name")
    return complaints


def docstring_lines(node: ast.AST) -> int:
    """Lines of the docstring; the limits of size do not count them."""
    assert isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    if ast.get_docstring(node, clean=False) is None:
        return 0
    first = node.body[0]
    return (first.end_lineno or first.lineno) - first.lineno + 1


def public_complaints(module: ModuleType) -> list[str]:
    """Public names of a room that are missing, listed twice, out of order or without a docstring."""
    names = getattr(module, "__all__", None)
    if names is None:
        return [f"{module.__name__} has no __all__"]
    complaints = [] if module.__doc__ else [f"{module.__name__} has no docstring"]
    if len(set(names)) < len(names):
        complaints.append(f"{module.__name__}.__all__ lists a name twice")
    if list(names) != sorted(names) and list(names) != isort_order(names):
        complaints.append(f"{module.__name__}.__all__ is not sorted")
    for name in names:
        thing = getattr(module, name, None)
        if thing is None:
            complaints.append(f"{module.__name__}.{name} is listed but not there")
        elif callable(thing) and not (thing.__doc__ or "").strip():
            complaints.append(f"{module.__name__}.{name} has no docstring")
    return complaints


def isort_order(names: list[str]) -> list[str]:
    """The linter's order: CONSTANTS, then Classes, then functions."""
    return sorted(names, key=lambda n: (0 if n.isupper() and len(n) > 1 else 1 if n[:1].isupper() else 2, n))


def cycles(graph: dict[str, set[str]]) -> list[str]:
    """Modules that can be reached from themselves."""

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        edge = set(graph[start])
        while edge:
            seen |= edge
            edge = {after for name in edge for after in graph.get(name, set())} - seen
        return seen

    return sorted(module for module in graph if module in reached(module))


@cache
def sources() -> dict[str, tuple[Path, str]]:
    """Dotted name below softreg -> (path, text); a package is called by its folder, softreg itself by ''."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = list(path.relative_to(SOURCE).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = (path, path.read_text("utf-8"))
    return found


def is_package(module: str) -> bool:
    return sources()[module][0].name == "__init__.py"


# The rules are shown a bad example first.


@pytest.mark.parametrize(
    ("module", "text", "told"),
    [
        ("rows.dense", "from softreg.models import SoftmaxRegression", "imports models, which is above it"),
        ("probability.loss", "from softreg.rows import Rows", "imports rows, which is above"),
        ("probability.loss", "from ..rows.protocol import Rows", "imports rows, which is above"),
        ("rows.dense", "from .. import models", "imports models, which is above it"),
        ("rows.dense", "import softreg.optimize.lbfgs as s", "imports optimize, which is above it"),
        ("probability.loss", "def f():\n    from softreg import load", "probability.loss:2 imports persistence"),
        ("models.regression", "from softreg import load", "imports persistence, which is above it"),
        ("tables.reader", "from softreg.report import audit", "imports report, which is beside it"),
        ("tables.reader", "from softreg.cellar import wine", "imports cellar, which has no floor"),
        ("tables.reader", "import softreg", "softreg itself, which has no floor"),
        ("atomic_files", "from softreg.rows import Rows", "may not be used there"),
    ],
)  # fmt: skip
def test_the_rule_of_floors_sees(module: str, text: str, told: str) -> None:
    assert told in "\n".join(import_complaints(text, module))


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("rows.dense", "from softreg.rows.base import Rows\nfrom .base import Block\nfrom . import sparse"),
        ("rows.dense", "from softreg.atomic_files import atomic_path\nimport numpy as np"),
        ("optimize.lbfgs", "from softreg.rows import Rows\nfrom ..probability.loss import residual"),
        ("cli", "from softreg.tables import TableClassifier\nfrom softreg.version import __version__"),
        ("cli", "from softreg import load"),
    ],
)
def test_the_rule_of_floors_lets_pass(module: str, text: str) -> None:
    assert import_complaints(text, module) == []


def test_a_relative_import_in_a_room_is_read_from_the_room() -> None:
    assert import_complaints("from .base import Rows", "rows", is_package=True) == []
    assert import_complaints("from ..models import x", "rows", is_package=True) != []


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "from joblib import load",
        "import urllib.request",
        "x = eval('1')",
        "def f():\n    exec('a')",
    ],
)
def test_the_rule_of_safe_sources_sees(text: str) -> None:
    assert len(forbidden_complaints(text, "made.up")) == 1
    assert forbidden_complaints("import re\nre.compile('a')\nmodel.eval()", "made.up") == []


def test_the_rule_of_sizes_sees() -> None:
    long_function = "def f():\n" + "    x = 1\n" * LONGEST_FUNCTION
    assert "f has 46 lines" in size_complaints(long_function, "made.up")[0]
    assert size_complaints("def f():\n" + "    x = 1\n" * (LONGEST_FUNCTION - 1), "made.up") == []
    told_at_length = 'def f():\n    """One.\n' + "    More.\n" * 60 + '    """\n    return 1\n'
    assert size_complaints(told_at_length, "made.up") == []
    assert "has 331 lines" in size_complaints("x = 1\n" * 331, "made.up")[0]


def test_the_rule_of_folders_sees() -> None:
    few = [Path(f"room/{k}{ending}") for k, ending in enumerate([".py", ".js", ".css", ".json"] * 3 + [".js"] * 2)]
    others = [Path("room/__init__.py"), Path("room/page.html"), Path("room/folder/one.js")]
    assert folder_complaints([*few, *others]) == []
    assert folder_complaints([*few, Path("room/one_more.css")]) == ["room has 15 files, more than 14"]


def test_the_rule_of_numbers_sees() -> None:
    text = "LIMIT = 17\ndef f(x: float = 1e-6) -> float:\n    return 0.5 * x + {}\n"
    assert number_complaints(text.format(17), "made.up") == ["made.up:3 has the number 17 without a name"]
    assert number_complaints(text.format("LIMIT"), "made.up") == []


def test_the_rule_of_public_names_sees() -> None:
    room = ModuleType("made.up", "A room.")
    assert public_complaints(room) == ["made.up has no __all__"]
    room.__all__ = ["softmax", "entropy", "entropy"]  # type: ignore[attr-defined]
    room.entropy = lambda p: p  # type: ignore[attr-defined]
    assert public_complaints(room) == [
        "made.up.__all__ lists a name twice",
        "made.up.__all__ is not sorted",
        "made.up.softmax is listed but not there",
        "made.up.entropy has no docstring",
        "made.up.entropy has no docstring",
    ]
    assert isort_order(["softmax", "Rows", "NAMES"]) == ["NAMES", "Rows", "softmax"]


def test_the_rule_of_order_sees() -> None:
    order = {"rows": "protocol memory"}
    text = "if TYPE_CHECKING:\n    from softreg.rows.memory.dense import DenseRows"
    assert order_complaints(text, "rows.protocol", order) == [
        "rows.protocol:2 imports rows.memory, which comes after rows.protocol"
    ]
    assert order_complaints("from softreg.rows.backend_protocol import Rows", "rows.memory.dense", order) == []
    assert order_complaints("", "rows.cellar", order) == ["rows.cellar is not listed in the order of rows"]


def test_the_rule_of_cycles_sees() -> None:
    assert cycles({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c"]
    assert cycles({"a": {"b"}, "b": {"c"}, "c": set()}) == []


# And now the house itself.


def test_imports_go_down_only() -> None:
    complaints = []
    for module, (_, text) in sources().items():
        if module:
            complaints += import_complaints(text, module, is_package(module))
    assert not complaints, "\n".join(complaints)


def test_the_top_module_imports_no_room_eagerly() -> None:
    assert [name for _, name in imported(ast.parse(sources()[""][1]), "softreg")] == ["lazy", "version"]


def test_every_room_has_a_floor() -> None:
    rooms = {module.split(".")[0] for module in sources() if module}
    assert {room for room in rooms if floor(room) is None} <= FREE
    assert set(ROOMS) <= rooms


def test_no_module_imports_itself_through_others() -> None:
    graph: dict[str, set[str]] = {}
    for module, (path, text) in sources().items():
        # A room's __init__ only gathers names, and an import inside a function is made on purpose, to break a
        # cycle or to stay light: what is walked here are imports at the top, from file to file.
        if module and path.name != "__init__.py":
            package = f"softreg.{module}".rpartition(".")[0]
            top = ast.Module([n for n in ast.parse(text).body if isinstance(n, ast.Import | ast.ImportFrom)], [])
            graph[module] = {name for _, name in imported(top, package)}
    assert cycles(graph) == []


def test_packages_of_a_room_import_in_order() -> None:
    complaints = [c for module, (_, text) in sources().items() for c in order_complaints(text, module)]
    assert not complaints, "\n".join(complaints)


REPLACED_NAMES = re.compile(
    r"\b(roomy|sharpen|Strides|Climb|Summit|climb|turn_back|_give_away|Surety|surety|DoubtSketch|Walk|Judge|Kept|leap"
    r"|_honest_array|_as_it_should_be|told|mine|judge|vast|sparing|doubtful_|HostSoftmax|fold_doubt)\b"
)


def test_replaced_names_do_not_return() -> None:
    complaints = [
        f"{module}:{node.lineno} {name}"
        for module, (_, text) in sources().items()
        for node in ast.walk(ast.parse(text))
        if (name := getattr(node, "name", None) or getattr(node, "id", None) or getattr(node, "attr", None))
        and isinstance(name, str)
        and REPLACED_NAMES.fullmatch(name)
    ]
    assert not complaints, "\n".join(complaints)
    assert REPLACED_NAMES.fullmatch("Strides")


def test_folders_are_small() -> None:
    rooms = sorted({*ORDER, *ROOMS} - {"probability"})
    complaints = [c for room in rooms for c in folder_complaints((SOURCE / room).rglob("*"))]
    assert not complaints, "\n".join(complaints)


def test_names_are_unique_in_a_room() -> None:
    for room in [*ORDER, "probability"]:
        names = [path.stem for path in (SOURCE / room).rglob("*.py") if path.name != "__init__.py"]
        assert len(set(names)) == len(names), sorted(name for name in set(names) if names.count(name) > 1)


def test_no_source_runs_foreign_code_or_reaches_for_the_network() -> None:
    complaints = [c for module, (_, text) in sources().items() for c in forbidden_complaints(text, module)]
    assert not complaints, "\n".join(complaints)


def test_files_and_functions_are_small() -> None:
    complaints = [c for module, (_, text) in sources().items() for c in size_complaints(text, module)]
    assert not complaints, "\n".join(complaints)


def test_numbers_of_the_solvers_have_names() -> None:
    optimize = [(module, text) for module, (_, text) in sources().items() if module.split(".")[0] == "optimize"]
    complaints = [c for module, text in optimize for c in number_complaints(text, module)]
    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_lists_documented_names(room: str) -> None:
    complaints = public_complaints(importlib.import_module(f"softreg.{room}"))
    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize("name", softreg.__all__)
def test_every_public_name_of_softreg_is_there(name: str) -> None:
    thing = getattr(softreg, name)
    assert name == "__version__" or thing.__doc__
    assert name in dir(softreg)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'softmin'"):
        _ = softreg.softmin


def sections(docstring: str) -> set[str]:
    """Titles of the sections of a docstring in NumPy's convention."""
    return set(re.findall(r"^(\w+)\n-{3,}$", inspect.cleandoc(docstring), re.MULTILINE))


def defined_here(thing: object) -> bool:
    """Whether a public object is a class or function of softreg, not a type alias or a number."""
    return callable(thing) and str(getattr(thing, "__module__", "")).startswith("softreg.")


def docstring_complaints(thing: type | Callable[..., object], name: str) -> list[str]:
    """Sections that the docstring of a public class or function lacks."""
    found = sections(thing.__doc__ or "")
    if inspect.isclass(thing):
        if issubclass(thing, BaseException | Enum) or getattr(thing, "_is_protocol", False):
            return []
        documented = found & {"Parameters", "Attributes"} or not inspect.signature(thing).parameters
        missing = [] if documented else ["Parameters or Attributes"]
        needs_example = not is_dataclass(thing)  # a record is shown by the function that returns it
    else:
        signature = inspect.signature(thing)
        missing = ["Parameters"] if signature.parameters and "Parameters" not in found else []
        if signature.return_annotation not in (None, "None") and not found & {"Returns", "Yields"}:
            missing.append("Returns")
        needs_example = True
    return [f"{name} has no section {section}" for section in missing] + (
        [f"{name} has no section Examples"] if needs_example and "Examples" not in found else []
    )


def test_the_rule_of_docstrings_sees() -> None:
    def half(x: int) -> float:
        """Return half of a number."""
        return x / 2

    assert docstring_complaints(half, "half") == [
        "half has no section Parameters",
        "half has no section Returns",
        "half has no section Examples",
    ]
    half.__doc__ = "Half.\n\nParameters\n----------\nx\n\nReturns\n-------\nfloat\n\nExamples\n--------\n>>> 1"
    assert docstring_complaints(half, "half") == []


@pytest.mark.parametrize("room", ROOMS)
def test_public_objects_have_parameters_returns_and_examples(room: str) -> None:
    package = importlib.import_module(f"softreg.{room}")
    public = [(name, getattr(package, name)) for name in package.__all__]
    complaints = [c for name, thing in public if defined_here(thing) for c in docstring_complaints(thing, name)]
    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize(
    ("statement", "kept_out"),
    [
        ("import softreg", {"numpy", "scipy", "sklearn", "pyarrow", "matplotlib", "pandas", "rich"}),
        ("from softreg import softmax", {"sklearn", "pyarrow", "matplotlib", "pandas", "polars"}),
        (
            "from softreg import SoftmaxRegression",
            {"matplotlib", "polars", "jinja2", "rich", "click"},
        ),
        ("import softreg.cli", {"numpy", "scipy", "sklearn", "pyarrow", "matplotlib", "pandas"}),
    ],
)
def test_an_import_stays_light(statement: str, kept_out: set[str]) -> None:
    code = f"{statement}\nimport sys\nprint(*sorted(set(sys.modules) & {kept_out!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [], f"{statement} also imports {done.stdout}"
