"""Models in MLflow (`softreg[mlflow]`): saved, logged, registered and loaded without pickle.

An MLflow model of softreg holds the model file, a signature made from the model, an example of a row, the model card
and pinned requirements. `mlflow.pyfunc.load_model` reads it through this module, also where
`MLFLOW_ALLOW_PICKLE_DESERIALIZATION` is false.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from softreg.cards import model_card
from softreg.mlflow.environment import conda_environment, default_requirements, require_mlflow, write_environment
from softreg.mlflow.pyfunc_model import PyfuncModel
from softreg.mlflow.signature import input_example_of, signature_of
from softreg.models import SoftmaxRegression, SoftmaxRegressionCV
from softreg.persistence import load
from softreg.tables import TableClassifier
from softreg.version import __version__

if TYPE_CHECKING:
    from mlflow.models import Model, ModelSignature
    from mlflow.models.model import ModelInfo

__all__ = [
    "default_requirements",
    "input_example_of",
    "load_model",
    "log_model",
    "save_model",
    "signature_of",
]

FLAVOR_NAME = "softreg"
"""Name of the flavor in the file MLmodel."""
MODEL_FILE = "model.softreg"
"""Name of the model file in the folder of an MLflow model."""
CARD_FILE = "MODEL_CARD.md"
"""Name of the model card in that folder."""


def save_model(
    model: TableClassifier | SoftmaxRegression | SoftmaxRegressionCV,
    path: str | os.PathLike[str],
    *,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    conda_env: Mapping[str, Any] | str | None = None,
    pip_requirements: Sequence[str] | str | None = None,
    extra_pip_requirements: Sequence[str] | str | None = None,
    metadata: dict[str, Any] | None = None,
    mlflow_model: Model | None = None,
) -> None:
    """Save a fitted model as a folder in MLflow's format.

    Parameters
    ----------
    model : TableClassifier, SoftmaxRegression or SoftmaxRegressionCV
        A fitted model.
    path : path
        Folder, which must not exist or be empty.
    signature : mlflow.models.ModelSignature or False, optional
        Signature; by default `signature_of(model)`, and none with False.
    input_example : object, optional
        Example of the input; by default `input_example_of(model)`, and none with False. It holds no training data.
    conda_env, pip_requirements, extra_pip_requirements
        As in MLflow's flavors; by default `default_requirements()`, with pinned versions.
    metadata : dict, optional
        Metadata of the MLflow model.
    mlflow_model : mlflow.models.Model, optional
        The MLflow model to which the flavor is added; `log_model` passes it.

    Raises
    ------
    FileExistsError
        If the folder is not empty.
    TypeError, ValueError
        If the model is another object, is not fitted, or cannot be stored.
    ImportError
        If MLflow is not installed.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from softreg import TableClassifier
    >>> table = pa.table({"age": [20.0, 60, 25, 55], "buys": ["no", "yes", "no", "yes"]})
    >>> model = TableClassifier("buys", strength=0.1).fit(table)
    >>> save_model(model, "saved")
    >>> import mlflow
    >>> loaded = mlflow.pyfunc.load_model("saved")
    >>> loaded.predict({"age": [58.0, 19.0]}, params={"method": "predict"})["prediction"].tolist()
    ['yes', 'no']
    """
    require_mlflow()
    from mlflow import pyfunc
    from mlflow.models import Model
    from mlflow.models.utils import _save_example

    folder = Path(path)
    card = model_card(model, file=MODEL_FILE, version=__version__)  # raises errors of other objects
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{str(path)!r} exists and is not an empty folder; name another one.")
    folder.mkdir(parents=True, exist_ok=True)
    saved = Model() if mlflow_model is None else mlflow_model
    example = input_example_of(model) if input_example is None else input_example
    _save_example(saved, None if example is False else example, os.fspath(folder))
    if signature is not False:
        saved.signature = signature_of(model) if signature is None else signature
    if metadata is not None:
        saved.metadata = metadata
    model.save(folder / MODEL_FILE)
    (folder / CARD_FILE).write_text(card, "utf-8")
    names = write_environment(
        folder, conda_env, _listed(pip_requirements), extra_pip_requirements=_listed(extra_pip_requirements)
    )
    pyfunc.add_to_model(saved, loader_module=__name__, data=MODEL_FILE, **names)
    kind = type(model).__name__
    saved.add_flavor(FLAVOR_NAME, softreg_version=__version__, data=MODEL_FILE, model_class=kind, code=None)
    saved.save(os.fspath(folder / "MLmodel"))


def log_model(
    model: TableClassifier | SoftmaxRegression | SoftmaxRegressionCV,
    name: str = "model",
    *,
    registered_model_name: str | None = None,
    params: dict[str, Any] | None = None,
    tags: dict[str, Any] | None = None,
    step: int = 0,
    **options: Any,
) -> ModelInfo:
    """Log a fitted model with the current run of MLflow.

    Parameters
    ----------
    model : TableClassifier, SoftmaxRegression or SoftmaxRegressionCV
        A fitted model.
    name : str
        Name of the logged model.
    registered_model_name : str, optional
        Name under which a version is registered.
    params, tags : dict, optional
        Parameters and tags of the logged model.
    step : int
        Step at which it is logged.
    **options
        Options of `save_model`, and `await_registration_for` as in MLflow's flavors.

    Returns
    -------
    mlflow.models.model.ModelInfo
        URI and metadata of the logged model.

    Raises
    ------
    ImportError
        If MLflow is not installed.

    Examples
    --------
    >>> import mlflow, pyarrow as pa
    >>> from softreg import TableClassifier
    >>> table = pa.table({"age": [20.0, 60, 25, 55], "buys": ["no", "yes", "no", "yes"]})
    >>> mlflow.set_tracking_uri(Path("store").absolute().as_uri())
    >>> info = log_model(TableClassifier("buys", strength=0.1).fit(table), "buyers")
    >>> load_model(info.model_uri).classes_.tolist()
    ['no', 'yes']
    """
    require_mlflow()
    from mlflow.models import Model

    return Model.log(
        artifact_path=None,
        name=name,
        flavor=sys.modules[__name__],
        registered_model_name=registered_model_name,
        params=params,
        tags=tags,
        step=step,
        model=model,
        **options,
    )


def load_model(model_uri: str, dst_path: str | None = None) -> Any:
    """Load a model from MLflow as it was saved.

    Parameters
    ----------
    model_uri : str
        A folder, "models:/name/1", "runs:/run_id/path" or another URI of MLflow.
    dst_path : str, optional
        Existing folder to which the files are downloaded.

    Returns
    -------
    TableClassifier, SoftmaxRegression or SoftmaxRegressionCV
        The fitted model.

    Raises
    ------
    ValueError
        If it is an MLflow model of another flavor, or the model file is damaged.
    ImportError
        If MLflow is not installed.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from softreg import TableClassifier
    >>> table = pa.table({"age": [20.0, 60, 25, 55], "buys": ["no", "yes", "no", "yes"]})
    >>> model = TableClassifier("buys", strength=0.1).fit(table)
    >>> save_model(model, "buyers")
    >>> load_model("buyers").predict(pa.table({"age": [58.0, 19.0]})).tolist()
    ['yes', 'no']
    """
    require_mlflow()
    from mlflow.artifacts import download_artifacts

    file = Path(download_artifacts(artifact_uri=os.fspath(model_uri), dst_path=dst_path)) / MODEL_FILE
    if not file.is_file():
        raise ValueError(f"{str(model_uri)!r} is not a model that softreg.mlflow saved: it has no file {MODEL_FILE!r}.")
    return load(file)


def get_default_pip_requirements() -> list[str]:
    """Return `default_requirements()`, under the name that MLflow's flavors have for it."""
    return default_requirements()


def get_default_conda_env() -> dict[str, Any]:
    """Return the Conda environment of these requirements, under the name that MLflow's flavors have for it."""
    return conda_environment(default_requirements())


def _load_pyfunc(path: str) -> PyfuncModel:
    """Return the model of a file for `mlflow.pyfunc.load_model`."""
    return PyfuncModel(load(path))


def _listed(requirements: Sequence[str] | str | None) -> list[str] | str | None:
    """Return requirements as a list; the path of a file as it is."""
    return requirements if requirements is None or isinstance(requirements, str) else list(requirements)
