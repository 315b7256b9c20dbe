"""The targets of an export: for each, the endings of its files and the function that prints a program."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from softreg.export.c.header import c_header
from softreg.export.export_errors import ExportError
from softreg.export.javascript.module import javascript_module
from softreg.export.onnx.graph import onnx_model
from softreg.export.page.page import page_html
from softreg.export.program import Program
from softreg.export.sql.query import sql_query
from softreg.export.sql.syntax import Dialect


class Target(StrEnum):
    """Target of an export.

    Examples
    --------
    >>> Target("sql") is Target.SQL
    True
    """

    ONNX = "onnx"
    SQL = "sql"
    JS = "js"
    C = "c"
    PAGE = "page"


ENDINGS = {".onnx": Target.ONNX, ".sql": Target.SQL, ".js": Target.JS, ".mjs": Target.JS, ".h": Target.C,
           ".html": Target.PAGE}  # fmt: skip
"""Target by the ending of a file."""


@dataclass(frozen=True)
class PrintOptions:
    """Options of the printers.

    Attributes
    ----------
    dialect : Dialect
        Database of the SQL.
    table : str
        Table that the SQL reads.
    name : str
        Prefix of the names in C.
    """

    dialect: Dialect = Dialect.DUCKDB
    table: str = "input"
    name: str = "softreg"


PRINTERS: dict[Target, Callable[[Program, PrintOptions], bytes]] = {
    Target.ONNX: lambda program, options: onnx_model(program),
    Target.SQL: lambda program, options: sql_query(program, options.dialect, options.table).encode(),
    Target.JS: lambda program, options: javascript_module(program).encode(),
    Target.C: lambda program, options: c_header(program, options.name).encode(),
    Target.PAGE: lambda program, options: page_html(program).encode(),
}
"""Printer of each target."""


def target_of(path: Path, given: str | None) -> Target:
    """Return the target that is given, or else that of the ending of the file.

    Parameters
    ----------
    path : Path
        Output file.
    given : str or None
        Name of a target.

    Returns
    -------
    Target
        The target.

    Raises
    ------
    ExportError
        If the name or the ending is of no target.

    Examples
    --------
    >>> target_of(Path("model.onnx"), None).value
    'onnx'
    """
    names = ", ".join(target.value for target in Target)
    if given is None:
        target = ENDINGS.get(path.suffix.lower())
        if target is None:
            raise ExportError(
                f"The ending of {path.name!r} is of no target; name one of {names}: --to sql (to='sql' in Python)."
            )
        return target
    if given not in set(Target):
        raise ExportError(f"to={given!r} is no target; choose one of {names}.")
    return Target(given)
