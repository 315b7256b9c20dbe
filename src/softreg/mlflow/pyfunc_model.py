"""The object that `mlflow.pyfunc.load_model` wraps: predictions as data frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from softreg.mlflow.signature import METHODS, class_texts, is_by_place, prediction_name
from softreg.models import SoftmaxRegression, SoftmaxRegressionCV
from softreg.tables import TableClassifier
from softreg.tables.encode.list_column_encoders import TagsEncoder
from softreg.value_text import value_text


class PyfuncModel:
    """A fitted model with the interface of MLflow's pyfunc flavor.

    Parameters
    ----------
    model : TableClassifier, SoftmaxRegression or SoftmaxRegressionCV
        The fitted model.

    Examples
    --------
    >>> import pyarrow as pa
    >>> table = pa.table({"age": [20.0, 60, 25, 55], "buys": ["no", "yes", "no", "yes"]})
    >>> model = PyfuncModel(TableClassifier("buys", strength=0.1).fit(table))
    >>> model.predict({"age": [58.0, 19.0]}, {"method": "predict"})["prediction"].tolist()
    ['yes', 'no']
    """

    def __init__(self, model: TableClassifier | SoftmaxRegression | SoftmaxRegressionCV) -> None:
        self.model = model

    def get_raw_model(self) -> Any:
        """Return the model itself."""
        return self.model

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Return probabilities, or labels, of rows.

        Parameters
        ----------
        data : pandas.DataFrame, dict of columns, or array
            Rows, as MLflow passes them.
        params : mapping, optional
            `{"method": "predict_proba"}`, the default, or `{"method": "predict"}`.

        Returns
        -------
        pandas.DataFrame
            Probabilities, one column a class with its text as name; or labels in the column `prediction`. The index is
            that of the data, if they are a frame.

        Raises
        ------
        ValueError
            If the method is another one.
        """
        import pandas as pd

        method = (params or {}).get("method") or METHODS[0]
        if method not in METHODS:
            raise ValueError(f"method is {method!r}; expected {' or '.join(map(repr, METHODS))}.")
        rows, labels = self._rows(data), class_texts(self.model)
        index = data.index if isinstance(data, pd.DataFrame) and len(data) == len(rows) else None
        if method == METHODS[0]:
            return pd.DataFrame(np.asarray(self.model.predict_proba(rows)), columns=labels, index=index)
        predicted = np.asarray(self.model.predict(rows))
        if predicted.dtype == object:  # decimals have no type in MLflow
            predicted = np.array([value_text(label) for label in predicted], dtype=object)
        return pd.DataFrame({prediction_name(labels): predicted}, index=index)

    def _rows(self, data: Any) -> Any:
        """Return the rows in a form that the model takes, with absent columns as missing ones."""
        import pandas as pd

        if isinstance(data, Mapping):
            data = pd.DataFrame(dict(data))
        if is_by_place(self.model):
            return data.to_numpy() if isinstance(data, pd.DataFrame) else data
        if not isinstance(self.model, TableClassifier) or not isinstance(data, pd.DataFrame):
            return data
        data = _unwrapped(data, self.model)
        encoders = {encoder.name: encoder for encoder in self.model.encoder_.column_encoders}
        absent = [
            column.name
            for column in self.model.schema_.features
            if column.name not in data.columns and _may_be_absent(column.missing, encoders.get(column.name))
        ]
        return data.assign(**dict.fromkeys(absent)) if absent else data


def _may_be_absent(missing: int, encoder: Any) -> bool:
    """Return whether training had missing values in a column; a missing list of tags is one without any."""
    return missing > 0 or getattr(encoder, "missing", False) or isinstance(encoder, TagsEncoder)


def _unwrapped(data: Any, model: TableClassifier) -> Any:
    """Return the rows of lists in a single row, which MLflow makes of a dict whose columns are all lists of text."""
    import pandas as pd

    lists = any(column.kind.value in ("tags", "vector") for column in model.schema_.features)
    if lists or len(data) != 1 or not all(isinstance(cell, list) for cell in data.iloc[0]):
        return data
    return pd.DataFrame({name: data[name].iloc[0] for name in data.columns})
