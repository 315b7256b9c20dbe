"""Compiles the kernels of `src/kernels` when softreg is installed, if that can be done here.

They make products with a handful of classes faster and are never needed: without a C++ compiler, or where compiling
fails for any reason, a pure Python package is built and NumPy does their work (`softreg doctor` says which). Nothing is
compiled for the building machine alone: each instruction set has its own functions, chosen when the program runs.
`CXX` names another compiler than the usual ones; `CXX=none pip install .` builds without kernels.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FLAGS = ["-std=c++17", "-O3", "-fPIC", "-fvisibility=hidden", "-fno-strict-aliasing", "-DNDEBUG"]
AVX2 = ["-mavx2", "-mfma"]
AVX512 = [*AVX2, "-mavx512f", "-mavx512vl", "-mavx512bw", "-mavx512dq"]
LINK = ["-bundle", "-undefined", "dynamic_lookup"] if sys.platform == "darwin" else ["-shared", "-Wl,-s"]
PYTHON = ["module", "dense_bindings", "csr_bindings", "slabs_bindings"]  # the sources that speak to the interpreter
PATIENCE = 600  # seconds for one call of the compiler


class KernelHook(BuildHookInterface):
    """Adds the compiled kernels to a wheel, or puts them beside the sources of an editable install."""

    PLUGIN_NAME = "custom"
    folder: Path | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, or say on stderr why not."""
        if self.target_name != "wheel":
            return
        name = "_compiled" + sysconfig.get_config_var("EXT_SUFFIX")
        rows = Path(self.root) / "src" / "softreg" / "rows" / "kernels"
        if version == "editable":
            (rows / name).unlink(missing_ok=True)  # it may belong to an older source
        self.folder = Path(tempfile.mkdtemp(prefix="softreg-kernels-"))
        try:
            built = compiled(Path(self.root) / "src" / "kernels", self.folder, name)
        except Exception as error:  # whatever went wrong, NumPy does the same work
            print(f"softreg: built without compiled kernels, NumPy does their work: {error}", file=sys.stderr)
            return
        if version == "editable":
            shutil.copyfile(built, rows / f"{name}.new")
            os.replace(rows / f"{name}.new", rows / name)  # a running program keeps the file that it has open
        else:
            build_data["force_include"][str(built)] = f"softreg/rows/kernels/{name}"
            build_data["pure_python"] = False
            build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Leave nothing behind."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


def compiled(source: Path, folder: Path, name: str) -> Path:
    """The path of the extension module, compiled and linked in `folder`."""
    compiler = find_compiler()
    import nanobind

    nano = Path(nanobind.__file__).parent
    headers = [sysconfig.get_path("include"), str(nano / "include"), str(nano / "ext" / "robin_map" / "include")]
    python = [f"-I{header}" for header in headers]
    shown = [nano / "src" / "nb_combined.cpp", *(source / f"{name}.cpp" for name in PYTHON)]
    todo: dict[Path, list[str]] = dict.fromkeys(shown, python) | {source / "baseline.cpp": []}
    if platform.machine().lower() in ("x86_64", "amd64"):
        todo |= {source / "avx2.cpp": AVX2, source / "avx512.cpp": AVX512}
    objects = {file: folder / f"{file.stem}.o" for file in todo}
    run([[*compiler, *FLAGS, "-w", *todo[file], "-c", str(file), "-o", str(to)] for file, to in objects.items()])
    run([[*compiler, *LINK, *map(str, objects.values()), "-o", str(folder / name)]])
    return folder / name


def find_compiler() -> list[str]:
    """The C++ compiler that `CXX` names, or the first of the usual ones."""
    if os.name != "posix":
        raise RuntimeError("they are written for GCC and Clang")
    named = shlex.split(os.environ.get("CXX", ""))
    for candidate in [named] if named else [["c++"], ["g++"], ["clang++"]]:
        if shutil.which(candidate[0]):
            return candidate
    raise RuntimeError(f"there is no C++ compiler {named[0]!r}" if named else "there is no C++ compiler")


def run(commands: list[list[str]]) -> None:
    """Run commands side by side; the first that fails is an error with the end of what it said."""
    started = [subprocess.Popen(c, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for c in commands]
    said = [process.communicate(timeout=PATIENCE)[0] for process in started]
    for process, words in zip(started, said, strict=True):
        if process.returncode:
            last = "\n".join(words.strip().splitlines()[-5:])
            raise RuntimeError(f"{shlex.join(process.args)} failed:\n{last}")  # type: ignore[arg-type]
