"""SQL in DuckDB, SQLite and a PostgreSQL server of the tests."""

from __future__ import annotations

import atexit
import importlib.util
import json
import os
import shutil
import sqlite3
import subprocess
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pyarrow as pa

from softreg.export import Program
from softreg.export.program import InputKind
from softreg.export.sql.query import Dialect, sql_query

from .runner import array_columns

MATHEMATICS = "SELECT exp(1.0) + sin(1.0) + json_valid('1')"


class Answer:
    """The columns of a result by name, in order, as lists."""

    def __init__(self, names: list[str], rows: list[tuple[Any, ...]]) -> None:
        self.names, self.rows = names, rows

    def last(self, count: int) -> list[list[Any]]:
        """The last columns of each row."""
        return [list(row[len(row) - count :]) for row in self.rows]


def postgres_programs() -> Path | None:
    """The folder of PostgreSQL's server programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or [
        Path(path) for path in [shutil.which("initdb")] if path
    ]
    return found[-1].parent if found else None


@cache
def postgres_server() -> str:
    """Start a server for this process, and return how to connect to it; it ends with the process."""
    programs = postgres_programs()
    assert programs is not None
    folder = Path(mkdtemp(prefix="softreg-pg-"))
    prefix = []
    if os.getuid() == 0:
        shutil.chown(folder, "postgres")
        prefix = ["runuser", "-u", "postgres", "--"]

    def call(*command: str) -> None:
        subprocess.run([*prefix, *command], check=True, cwd=folder, stdout=subprocess.DEVNULL, timeout=120)

    def stop() -> None:
        call(str(programs / "pg_ctl"), "-D", str(folder / "data"), "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder, ignore_errors=True)

    call(str(programs / "initdb"), "-D", str(folder / "data"), "-U", "postgres", "-A", "trust", "-E", "UTF8",
         "--locale=C.UTF-8", "-N")  # fmt: skip
    options = f"-c listen_addresses= -k {folder} -c fsync=off"
    log = str(folder / "log")
    call(str(programs / "pg_ctl"), "-D", str(folder / "data"), "-l", log, "-o", options, "-w", "start")
    atexit.register(stop)
    return f"host={folder} user=postgres dbname=postgres"


def sqlite_value(value: Any) -> Any:
    """A value as SQLite stores it."""
    if isinstance(value, list):
        return json.dumps(value, ensure_ascii=False)
    if hasattr(value, "isoformat"):
        return value.isoformat(*([" "] if hasattr(value, "hour") else []))
    return value


def quoted(name: str) -> str:
    """A name in double quotes."""
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


class SqlRunner:
    """A dialect and its engine."""

    def __init__(self, dialect: Dialect, refused: frozenset[InputKind] = frozenset()) -> None:
        self.dialect, self.name = dialect, dialect.value
        self.refused = refused | {InputKind.TEXT}

    def missing_engine(self) -> str | None:
        """Why the engine cannot run here."""
        if self.dialect is Dialect.SQLITE:
            try:
                sqlite3.connect(":memory:").execute(MATHEMATICS)
            except sqlite3.OperationalError:
                return f"SQLite {sqlite3.sqlite_version} is built without functions of mathematics"
            return None
        module = {Dialect.DUCKDB: "duckdb", Dialect.POSTGRES: "psycopg"}[self.dialect]
        if importlib.util.find_spec(module) is None:
            return f"{module} is not installed"
        if self.dialect is Dialect.POSTGRES and postgres_programs() is None:
            return "no PostgreSQL server is installed"
        return None

    def probabilities(self, program: Program, rows: pa.Table, folder: Path) -> np.ndarray:
        """The probabilities of the engine; its labels are those of the largest ones."""
        statement = sql_query(program, self.dialect)
        answer = self.answer(statement, array_columns(program, rows))
        assert len(answer.rows) == len(rows)
        q = len(program.classes)
        P = np.array(answer.last(q), dtype=float).reshape(len(rows), q)
        labels = [row[len(row) - q - 1] for row in answer.rows]
        winners = [None if np.isnan(row[0]) else program.classes[int(row.argmax())] for row in P]
        assert labels == winners
        return P

    def answer(self, statement: str, rows: pa.Table, create: str | None = None) -> Answer:
        """What a statement selects from the rows as the table `input`, whose declaration may be given."""
        ask = {Dialect.DUCKDB: duckdb_answer, Dialect.SQLITE: sqlite_answer, Dialect.POSTGRES: postgres_answer}
        return ask[self.dialect](statement, rows, create)


def duckdb_answer(statement: str, rows: pa.Table, create: str | None) -> Answer:
    """DuckDB's answer."""
    import duckdb

    with duckdb.connect() as connection:
        connection.register("given", rows)
        if create is None:
            connection.execute("CREATE TABLE input AS SELECT * FROM given")
        else:
            connection.execute(create)
            connection.execute("INSERT INTO input SELECT * FROM given")
        result = connection.execute(statement)
        return Answer([column[0] for column in result.description], result.fetchall())


def sqlite_answer(statement: str, rows: pa.Table, create: str | None) -> Answer:
    """SQLite's answer."""
    connection = sqlite3.connect(":memory:")
    names = ", ".join(map(quoted, rows.column_names))
    connection.execute(create or f"CREATE TABLE input ({names})")
    places = ", ".join("?" * rows.num_columns)
    values = [tuple(map(sqlite_value, row.values())) for row in rows.to_pylist()]
    connection.executemany(f"INSERT INTO input VALUES ({places})", values)
    result = connection.execute(statement)
    answer = Answer([column[0] for column in result.description], result.fetchall())
    connection.close()
    return answer


def postgres_type(kind: pa.DataType) -> str:
    """The type of a column."""
    if pa.types.is_list(kind):
        return f"{postgres_type(kind.value_type)}[]"
    types = {"double": "double precision", "int64": "bigint", "bool": "boolean", "date32[day]": "date", "null": "text"}
    return types.get(str(kind), "timestamp" if pa.types.is_timestamp(kind) else "text")


def postgres_answer(statement: str, rows: pa.Table, create: str | None) -> Answer:
    """PostgreSQL's answer."""
    import psycopg

    declared = ", ".join(f"{quoted(field.name)} {postgres_type(field.type)}" for field in rows.schema)
    with psycopg.connect(postgres_server(), autocommit=False) as connection:
        connection.execute(create or f"CREATE TABLE input ({declared})")
        with connection.cursor() as cursor:
            with cursor.copy("COPY input FROM STDIN") as copy:
                for row in rows.to_pylist():
                    copy.write_row(list(row.values()))
            cursor.execute(statement)
            answer = Answer([column.name for column in cursor.description], cursor.fetchall())
        connection.rollback()
    return answer


SQL_RUNNERS = (
    SqlRunner(Dialect.DUCKDB),
    SqlRunner(Dialect.SQLITE, frozenset({InputKind.VECTOR})),
    SqlRunner(Dialect.POSTGRES),
)
"""The dialects."""
