"""`softreg doctor`: versions, threads, BLAS libraries and kernels in use, for reports of defects and speed."""

from __future__ import annotations

import json
import platform
from typing import Any

import click
import numpy as np
import scipy
import sklearn
from threadpoolctl import threadpool_info

from softreg.cli.console.aligned_text import align_columns
from softreg.rows import kernels_in_use, thread_count
from softreg.version import __version__

NUMPY_KERNELS = (
    "Without compiled kernels, products with few classes are slower, with results of the same accuracy; the "
    "kernels are "
    "compiled during installation if a C++ compiler is available."
)


def print_environment(*, as_json: bool) -> None:
    """Print versions, threads, BLAS libraries and kernels of this process."""
    environment = _environment()
    if as_json:
        click.echo(json.dumps(environment, ensure_ascii=False, allow_nan=False))
        return
    click.echo(align_columns(_text_lines(environment)))


def _environment() -> dict[str, Any]:
    """Return the environment as a JSON object."""
    kernels = kernels_in_use()
    libraries = [library for library in threadpool_info() if library["user_api"] == "blas"]
    return {
        "softreg": __version__,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "sklearn": sklearn.__version__,
        "blas": [
            {
                "library": library["internal_api"],
                "version": library.get("version"),
                "architecture": library.get("architecture"),
                "threads": library["num_threads"],
            }
            for library in libraries
        ],
        "threads": thread_count(),
        "kernels": "compiled" if kernels.compiled else "numpy",
        "instruction_set": kernels.level,
        "reason": kernels.reason or None,
    }


def _text_lines(environment: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the environment as lines of text."""
    blas = [
        " ".join(str(part) for part in (library["library"], library["version"], library["architecture"]) if part)
        for library in environment["blas"]
    ]
    if environment["kernels"] == "compiled":
        kernels = [("kernels", f"compiled, for {environment['instruction_set']}")]
    else:
        kernels = [("kernels", f"NumPy: {environment['reason']}"), ("", NUMPY_KERNELS)]
    versions = (
        (name, environment[key]) for name, key in (("numpy", "numpy"), ("scipy", "scipy"), ("scikit-learn", "sklearn"))
    )
    return [
        ("softreg", environment["softreg"]),
        ("Python", f"{environment['python']} on {environment['machine']}"),
        ("libraries", ", ".join(f"{name} {version}" for name, version in versions)),
        ("BLAS", "; ".join(dict.fromkeys(blas)) or "not recognised"),
        ("threads", f"{environment['threads']} (set SOFTREG_NUM_THREADS or OMP_NUM_THREADS to change it)"),
        *kernels,
    ]
