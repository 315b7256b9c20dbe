"""The environment of an MLflow model: pinned requirements, as pip, Conda and MLflow read them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from softreg.version import __version__

CORE_PACKAGES = ("numpy", "scipy", "scikit-learn", "threadpoolctl", "narwhals", "safetensors", "pyarrow")
"""Dependencies of softreg that predictions use."""
CONDA_FILE, PYTHON_FILE, REQUIREMENTS_FILE, CONSTRAINTS_FILE = (
    "conda.yaml",
    "python_env.yaml",
    "requirements.txt",
    "constraints.txt",
)


def require_mlflow() -> None:
    """Raise `ImportError` with the way out where MLflow or pandas is not installed."""
    missing = [name for name in ("mlflow", "pandas") if find_spec(name) is None]
    if missing:
        raise ImportError(f"softreg.mlflow needs {' and '.join(missing)}: pip install 'softreg[mlflow]'")


def default_requirements() -> list[str]:
    """Return the requirements of an MLflow model: MLflow, softreg and its core dependencies in the installed versions.

    Returns
    -------
    list of str
        Pinned requirements of pip.

    Raises
    ------
    ImportError
        If MLflow is not installed.

    Examples
    --------
    >>> [requirement.split("==")[0] for requirement in default_requirements()][1:4]
    ['softreg', 'numpy', 'scipy']
    """
    require_mlflow()
    packages = (*CORE_PACKAGES, "pandas")
    return [_mlflow_package(), f"softreg=={__version__}", *(f"{name}=={version(name)}" for name in packages)]


def _mlflow_package() -> str:
    """Return the pinned distribution of MLflow that is installed: the full one or mlflow-skinny."""
    for name in ("mlflow", "mlflow-skinny"):
        try:
            return f"{name}=={version(name)}"
        except PackageNotFoundError:
            continue
    raise ImportError("softreg.mlflow needs mlflow: pip install 'softreg[mlflow]'")


def conda_environment(requirements: list[str]) -> dict[str, Any]:
    """Return the Conda environment with these requirements of pip."""
    from mlflow.utils.environment import _mlflow_conda_env

    environment: dict[str, Any] = _mlflow_conda_env(additional_pip_deps=requirements, install_mlflow=False)
    return environment


def write_environment(
    folder: Path,
    conda_env: Mapping[str, Any] | str | None,
    pip_requirements: list[str] | str | None,
    *,
    extra_pip_requirements: list[str] | str | None,
) -> dict[str, str]:
    """Write the files of the environment of an MLflow model.

    Parameters
    ----------
    folder : Path
        Folder of the model.
    conda_env, pip_requirements, extra_pip_requirements
        As of `save_model`.

    Returns
    -------
    dict of str to str
        Names of the Conda and the Python environment for `mlflow.pyfunc.add_to_model`.
    """
    import yaml
    from mlflow.utils.environment import (
        _process_conda_env,
        _process_pip_requirements,
        _PythonEnv,
        _validate_env_arguments,
    )

    _validate_env_arguments(conda_env, pip_requirements, extra_pip_requirements)
    if conda_env is None:
        default = default_requirements() if pip_requirements is None else None
        environment, requirements, constraints = _process_pip_requirements(
            default, pip_requirements, extra_pip_requirements
        )
    else:
        environment, requirements, constraints = _process_conda_env(conda_env)
    (folder / CONDA_FILE).write_text(yaml.safe_dump(environment, default_flow_style=False), "utf-8")
    if constraints:
        (folder / CONSTRAINTS_FILE).write_text("\n".join(constraints), "utf-8")
    (folder / REQUIREMENTS_FILE).write_text("\n".join(requirements), "utf-8")
    _PythonEnv.current().to_yaml(os.fspath(folder / PYTHON_FILE))
    return {"conda_env": CONDA_FILE, "python_env": PYTHON_FILE}
