"""The kernels are compiled where that is possible, and left out with a word where it is not: never an error."""

from __future__ import annotations

import importlib.util
import sys
import sysconfig
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """hatch_build.py in the place of the build tool's own process, for a project in an empty folder."""
    if not (ROOT / "hatch_build.py").exists():
        pytest.skip("an installed package has no build")
    for name in ("hatchling", "hatchling.builders", "hatchling.builders.hooks", "hatchling.builders.hooks.plugin"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    plugin = ModuleType("interface")
    plugin.BuildHookInterface = object  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "hatchling.builders.hooks.plugin.interface", plugin)
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.delenv("CXX", raising=False)
    (tmp_path / "src" / "softreg" / "rows" / "kernels").mkdir(parents=True)
    module.hook = module.KernelHook()
    module.hook.root, module.hook.target_name = str(tmp_path), "wheel"
    return module


def extension(folder: Path) -> Path:
    return folder / "src" / "softreg" / "rows" / "kernels" / f"_compiled{sysconfig.get_config_var('EXT_SUFFIX')}"


def build(hook: Any, version: str = "standard") -> dict[str, Any]:
    data: dict[str, Any] = {"force_include": {}, "pure_python": True, "infer_tag": False}
    hook.hook.initialize(version, data)
    return data


PURE = {"force_include": {}, "pure_python": True, "infer_tag": False}


@pytest.mark.skipif(sys.platform == "win32", reason="no kernels are built there")
@pytest.mark.parametrize("version", ["standard", "editable"])
@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("CXX", "no-such-compiler -O1", "there is no C++ compiler 'no-such-compiler'"),
        ("CXX", "false", "nb_combined.cpp"),
        ("PATH", "", "there is no C++ compiler"),
    ],
)
def test_without_a_compiler_the_package_is_pure(
    hook: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path,
    version: str, name: str, value: str, told: str,
) -> None:  # fmt: skip
    monkeypatch.setitem(sys.modules, "nanobind", SimpleNamespace(__file__=str(tmp_path / "nanobind" / "__init__.py")))
    monkeypatch.setenv(name, value)
    extension(tmp_path).write_text("of an older source", "utf-8")
    assert build(hook, version) == PURE
    said = capsys.readouterr().err
    assert said.startswith("softreg: built without compiled kernels, NumPy does their work: ")
    assert told in said
    assert extension(tmp_path).exists() == (version == "standard")  # a stale one must not be imported
    folder = hook.hook.folder
    hook.hook.finalize(version, {}, "")
    assert not folder.exists()


def test_what_was_compiled_is_shipped(hook: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def compiled(source: Path, folder: Path, name: str) -> Path:
        assert source == tmp_path / "src" / "kernels"
        (folder / name).write_text("new", "utf-8")
        return folder / name

    monkeypatch.setattr(hook, "compiled", compiled)
    data = build(hook)
    name = extension(tmp_path).name
    assert list(data["force_include"].values()) == [f"softreg/rows/kernels/{name}"]
    assert (data["pure_python"], data["infer_tag"]) == (False, True)
    assert not extension(tmp_path).exists()
    assert build(hook, "editable") == PURE
    assert extension(tmp_path).read_text("utf-8") == "new"
    assert [p.name for p in extension(tmp_path).parent.iterdir()] == [name]


def test_a_source_archive_compiles_nothing(hook: Any) -> None:
    hook.hook.target_name = "sdist"
    assert build(hook) == PURE
    hook.hook.finalize("standard", {}, "")
