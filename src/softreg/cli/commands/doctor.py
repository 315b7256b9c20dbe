"""`softreg doctor`: what softreg runs on here, for a report of a defect or of a speed."""

from __future__ import annotations

import json
import platform
from typing import Any

import click
import numpy as np
import scipy
import sklearn
from threadpoolctl import threadpool_info

from softreg.cli.console.text_layout import align_columns
from softreg.rows import kernels_in_use, thread_count
from softreg.version import __version__

WITHOUT = (
    "Products with a handful of classes are slower so, and as exact; with a C++ compiler at the time of "
    "installing, they are fast."
)


def print_environment(*, as_json: bool) -> None:
    """Print versions, threads, BLAS libraries and kernels of this process."""
    found = _findings()
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False, allow_nan=False))
        return
    click.echo(align_columns(_lines(found)))


def _findings() -> dict[str, Any]:
    """The same for a program."""
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


def _lines(found: dict[str, Any]) -> list[tuple[str, str]]:
    """The same for a person."""
    blas = [
        " ".join(str(part) for part in (one["library"], one["version"], one["architecture"]) if part)
        for one in found["blas"]
    ]
    if found["kernels"] == "compiled":
        kernels = [("kernels", f"compiled, for {found['instruction_set']}")]
    else:
        kernels = [("kernels", f"NumPy: {found['reason']}"), ("", WITHOUT)]
    return [
        ("softreg", found["softreg"]),
        ("Python", f"{found['python']} on {found['machine']}"),
        ("libraries", f"numpy {found['numpy']}, scipy {found['scipy']}, scikit-learn {found['sklearn']}"),
        ("BLAS", "; ".join(dict.fromkeys(blas)) or "not recognised"),
        ("threads", f"{found['threads']} (SOFTREG_NUM_THREADS or OMP_NUM_THREADS set another number)"),
        *kernels,
    ]
