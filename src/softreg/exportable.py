"""The method `export` of fitted models."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class Exportable:
    """Mixin of models that `softreg.export_model` writes for other systems.

    The module of the export is imported by its name when the method is called, as it stands above the models.
    """

    def export(
        self,
        path: str | os.PathLike[str],
        *,
        to: str | None = None,
        dialect: str = "duckdb",
        table: str = "input",
        name: str = "softreg",
        calibrator: Any = None,
        class_rates: ArrayLike | Mapping[Any, float] | None = None,
    ) -> None:
        """Write the fitted model as a program that needs no Python: ONNX, SQL, JavaScript, C, or a page.

        Parameters
        ----------
        path : path
            Output file, written atomically.
        to : {"onnx", "sql", "js", "c", "page"}, optional
            Target; by default that of the ending of `path`: .onnx, .sql, .js or .mjs, .h, .html.
        dialect : {"duckdb", "postgres", "sqlite"}, default "duckdb"
            Database of the SQL.
        table : str, default "input"
            Table that the SQL reads.
        name : str, default "softreg"
            Prefix of the names in C.
        calibrator : Calibrator, optional
            A fitted calibrator of the model's classes, which is applied to its probabilities.
        class_rates : array_like (q,) or mapping of label to float, optional
            Class rates of the new rows, for `Calibrator.predict_proba(P, class_rates=...)`; a mapping names each class.

        Raises
        ------
        ExportError
            If the target cannot compute the model exactly (the message names the column and the reason), or an option
            is of no known value.

        Examples
        --------
        >>> import softreg
        >>> model = softreg.SoftmaxRegression(0.1).fit([[0.0], [1.0], [2.0]], ["a", "b", "b"])
        >>> model.export("model.sql", dialect="sqlite")
        """
        import_module("softreg.export.write_program").export_model(
            self, path, to=to, dialect=dialect, table=table, name=name, calibrator=calibrator, class_rates=class_rates
        )
