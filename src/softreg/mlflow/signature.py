"""Signature and example of the input of an MLflow model, from what a fitted model stores."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from softreg.cards import example_row
from softreg.mlflow.environment import require_mlflow
from softreg.models import SoftmaxRegression, SoftmaxRegressionCV
from softreg.tables import Kind, TableClassifier
from softreg.tables.encode.boolean_encoder import FALSE, TRUE, BooleanEncoder
from softreg.tables.encode.category_encoder import CategoryEncoder
from softreg.tables.encode.column_encoder import ColumnEncoder
from softreg.tables.encode.date_encoder import DateEncoder
from softreg.tables.encode.list_column_encoders import TagsEncoder, VectorEncoder
from softreg.tables.encode.number_encoder import NumberEncoder
from softreg.tables.formats.column_formats import ColumnFormat
from softreg.typing import Array
from softreg.value_text import value_text

if TYPE_CHECKING:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

PREDICTION = "prediction"
"""Column of predicted labels, with underscores after it if a class has this name."""
METHODS = ("predict_proba", "predict")
"""Values of the parameter `method`; the first one is the default."""
EXACT_INTEGERS = 2**53
"""Integers up to this have an exact float64."""


def signature_of(model: TableClassifier | SoftmaxRegression | SoftmaxRegressionCV) -> ModelSignature:
    """Return the MLflow signature of a fitted model.

    Inputs are its columns: numbers are double, dates datetime, booleans boolean (words such as "yes" string), vectors
    and tags arrays; a category is string, or long or double where its training levels were numbers. Text in a format of
    its own, such as "1.234,50 €" or 31/12/2024, is string. A column may be absent where training had missing values;
    it is then missing in every row. Models of arrays have a tensor of float64. MLflow converts neither int64 to double,
    nor text to dates, nor arrays of another dtype: `frame.astype({"age": float})`,
    `pandas.to_datetime(frame["since"])`, `X.astype(float)`.

    Outputs are the probabilities, one column a class, or the column `prediction` with the parameter
    `method="predict"`.

    Parameters
    ----------
    model : TableClassifier, SoftmaxRegression or SoftmaxRegressionCV
        A fitted model.

    Returns
    -------
    mlflow.models.ModelSignature
        Inputs, outputs and the parameter `method`.

    Raises
    ------
    ImportError
        If MLflow is not installed.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from softreg import TableClassifier
    >>> table = pa.table({"age": [20.0, 60, 25, 55], "buys": ["no", "yes", "no", "yes"]})
    >>> model = TableClassifier("buys", strength=0.1).fit(table)
    >>> signature_of(model).inputs
    ['age': double (required)]
    """
    require_mlflow()
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema

    labels = class_texts(model)
    outputs = [ColSpec(DataType.double, label) for label in labels]
    outputs.append(ColSpec(_label_type(model.classes_), prediction_name(labels), required=False))
    method = ParamSpec("method", DataType.string, METHODS[0])
    return ModelSignature(inputs=_inputs(model), outputs=Schema(outputs), params=ParamSchema([method]))


def input_example_of(model: TableClassifier | SoftmaxRegression | SoftmaxRegressionCV) -> Any:
    """Return an example of the input, made from the model and not of training rows.

    Parameters
    ----------
    model : TableClassifier, SoftmaxRegression or SoftmaxRegressionCV
        A fitted model.

    Returns
    -------
    pandas.DataFrame or array of shape (1, d)
        One row, of the types of `signature_of(model)`.

    Raises
    ------
    ImportError
        If MLflow is not installed.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from softreg import TableClassifier
    >>> table = pa.table({"age": [20.0, 60, 25, 55], "buys": ["no", "yes", "no", "yes"]})
    >>> model = TableClassifier("buys", strength=0.1).fit(table)
    >>> input_example_of(model).to_dict("list")
    {'age': [40.0]}
    """
    require_mlflow()
    import pandas as pd

    if is_by_place(model):
        return np.zeros((1, int(model.n_features_in_)), dtype=_tensor_dtype(model))
    if not isinstance(model, TableClassifier):
        return pd.DataFrame({str(name): [0.0] for name in model.feature_names_in_})
    types, columns = {spec.name: spec.type for spec in _inputs(model).inputs}, {}
    for name, value in example_row(model).items():
        kind = str(types[name])
        if kind == "DataType.datetime":
            columns[name] = pd.Series([np.datetime64(value, "ns")])
        elif kind in ("DataType.long", "DataType.double", "DataType.boolean"):
            columns[name] = pd.Series([_typed(value, kind)])
        else:
            columns[name] = pd.Series([value], dtype=object)
    return pd.DataFrame(columns)


def class_texts(model: TableClassifier | SoftmaxRegression | SoftmaxRegressionCV) -> list[str]:
    """Return the classes as text, in order."""
    classes = model.model_.classes_ if isinstance(model, TableClassifier) else model.classes_
    return [value_text(label) for label in classes]


def prediction_name(labels: list[str]) -> str:
    """Return the name of the column of predicted labels, which is that of no class."""
    name = PREDICTION
    while name in labels:
        name += "_"
    return name


def is_by_place(model: TableClassifier | SoftmaxRegression | SoftmaxRegressionCV) -> bool:
    """Return whether a model was fitted on an array of numbers, whose columns have no names."""
    if getattr(model, "feature_names_in_", None) is not None:
        return False
    if not isinstance(model, TableClassifier):
        return True
    numbers = all(column.kind is Kind.NUMBER for column in model.schema_.features)
    return numbers and not model.offset_


def _inputs(model: TableClassifier | SoftmaxRegression | SoftmaxRegressionCV) -> Schema:
    """Return the schema of the inputs."""
    from mlflow.types import ColSpec, DataType, Schema, TensorSpec

    if is_by_place(model):
        return Schema([TensorSpec(np.dtype(_tensor_dtype(model)), (-1, int(model.n_features_in_)))])
    if not isinstance(model, TableClassifier):
        return Schema([ColSpec(DataType.double, str(name)) for name in model.feature_names_in_])
    encoders = {encoder.name: encoder for encoder in model.encoder_.column_encoders}
    columns = [
        _column(encoders[column.name], model.encoder_.formats.get(column.name), missing=column.missing > 0)
        for column in model.schema_.features
        if column.name in encoders
    ]
    offsets = [ColSpec(DataType.double, name) for name in dict.fromkeys(model.offset_.values())]
    return Schema([*columns, *offsets])


def _column(encoder: ColumnEncoder, form: ColumnFormat | None, *, missing: bool) -> ColSpec:
    """Return the specification of one column, with the format of its text in training if it was text."""
    from mlflow.types import ColSpec, DataType
    from mlflow.types.schema import Array

    required = not (missing or getattr(encoder, "missing", False))
    kind: Any = DataType.string
    if isinstance(encoder, VectorEncoder):
        kind = Array(DataType.double)
    elif isinstance(encoder, TagsEncoder):
        kind, required = Array(DataType.string), False  # a missing list is one without tags
    elif isinstance(encoder, BooleanEncoder):
        kind = DataType.boolean if encoder.words == (FALSE, TRUE) else DataType.string
    elif isinstance(encoder, NumberEncoder):
        kind = _number_type(form)
    elif isinstance(encoder, DateEncoder):
        kind = DataType.string if encoder.year_last else DataType.datetime
    elif isinstance(encoder, CategoryEncoder) and encoder.numbers:
        kind = _level_type(encoder)
    return ColSpec(kind, encoder.name, required=required)


def _number_type(form: ColumnFormat | None) -> DataType:
    """Return the type of numbers that were written in a format, None where they had a type."""
    from mlflow.types import DataType

    number = None if form is None else form.number
    plain = number is None or replace(number, fraction=True).plain
    return DataType.double if plain else DataType.string


def _level_type(encoder: CategoryEncoder) -> DataType:
    """Return the type of a category whose training levels had a type: numbers or booleans."""
    from mlflow.types import DataType

    levels = [*encoder.levels, *encoder.rare]
    if set(levels) <= {FALSE, TRUE}:
        return DataType.boolean
    try:
        numbers = [float(level) for level in levels]
    except ValueError:
        return DataType.string
    whole = all(level.removeprefix("-").isdecimal() for level in levels)
    exact = all(abs(number) < EXACT_INTEGERS for number in numbers)
    return DataType.long if whole and not (encoder.missing and exact) else DataType.double


def _label_type(classes: Array) -> DataType:
    """Return the type of predicted labels."""
    from mlflow.types import DataType

    kinds = {"b": DataType.boolean, "i": DataType.long, "u": DataType.long, "f": DataType.double}
    return DataType.datetime if classes.dtype.kind == "M" else kinds.get(classes.dtype.kind, DataType.string)


def _tensor_dtype(model: TableClassifier | SoftmaxRegression | SoftmaxRegressionCV) -> str:
    """Return the dtype of the array of a model: that of its weights."""
    if isinstance(model, TableClassifier):
        return "float64"
    return str(model.coef_.dtype)


def _typed(value: Any, kind: str) -> Any:
    """Return an example of a category as a number or a boolean."""
    if kind == "DataType.boolean":
        return value if isinstance(value, bool) else value == TRUE
    return int(value) if kind == "DataType.long" else float(value)
