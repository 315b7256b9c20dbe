"""The scan of the table of `TableClassifier.fit(cluster=...)`, after checks of the other arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from softreg.rows.cluster.dask_engine import DaskEngine
from softreg.rows.cluster.engine import Engine
from softreg.rows.cluster.open_engine import open_engine
from softreg.tables.columns.table_errors import TableError, emit_notes
from softreg.tables.fit.cluster.fragment_passes import FragmentPasses
from softreg.tables.fit.cluster.fragment_scan import scan_fragments
from softreg.tables.fit.row_set import row_mask
from softreg.tables.io.open_table import OpenTable, emit_table_notes, open_table
from softreg.tables.io.sources import is_source
from softreg.tables.row_selection.rare_classes import LabelRules
from softreg.tables.row_selection.row_numbers import row_numbers


def engine_context(cluster: Any) -> AbstractContextManager[Engine]:
    """Return the context of an engine: opened from a text and closed at the end, or given and left open.

    Parameters
    ----------
    cluster : str, distributed.Client or Engine
        Where the workers are.

    Returns
    -------
    context manager
        Context whose value is the engine.

    Raises
    ------
    TableError
        If `cluster` is neither a text nor a client nor an engine.
    """
    if isinstance(cluster, str):
        return open_engine(cluster)
    if hasattr(cluster, "scheduler_info"):
        return nullcontext(DaskEngine(cluster))
    if not hasattr(cluster, "map_reduce"):
        raise TableError(
            f"cluster is a {type(cluster).__name__}; expected 'local', 'local:4', the address of a Dask scheduler such "
            "as 'tcp://host:8786', or a distributed.Client."
        )
    return nullcontext(cluster)


def check_cluster_fit(data: Any, *, y: Any, sample_weight: Any, memory: str, prior: Any) -> None:
    """Check the arguments of a fit on a cluster.

    Parameters
    ----------
    data : path or OpenTable
        The table.
    y, sample_weight, memory, prior
        Other arguments, and the prior of the classifier.

    Raises
    ------
    TableError
        If one of them needs all rows in this process.
    """
    reasons = {
        "a frame or a table in memory (write it as Parquet files)": not (
            isinstance(data, OpenTable) or is_source(data)
        ),
        "labels y beside the table (name the column of labels: target='column')": y is not None,
        "weights as an array (name a column of weights: sample_weight='column')": not (
            sample_weight is None or isinstance(sample_weight, str)
        ),
        "memory='high'": memory == "high",
        "a prior": prior is not None,
    }
    for what, given in reasons.items():
        if given:
            raise TableError(
                f"With a cluster, worker processes read the rows from Parquet files, so {what} cannot be used; change "
                "it, or leave cluster=... out."
            )


def scan_on_cluster(
    data: Any,
    target: str,
    engine: Engine,
    *,
    rows: Any,
    seed: int | None,
    unused: Iterable[str],
    weights: str | None,
    rules: LabelRules,
    categorical: bool,
    on_progress: Callable[[Any], Any] | None = None,
) -> FragmentPasses:
    """Return the passes over a table in Parquet files, whose rows were counted and sampled by the workers.

    Parameters
    ----------
    data : path or OpenTable
        The table.
    target : str
        Column of labels.
    engine : Engine
        The workers.
    rows : array-like or None
        Training rows, as numbers from 0 or a mask.
    seed : int or None
        Seed of the samples.
    unused : iterable of str
        Columns whose values are not read.
    weights : str or None
        Column of weights.
    rules : LabelRules
        What is done with rows without a label and classes of a single row.
    categorical : bool
        Whether the labels are known to be classes.
    on_progress : callable, optional
        Called with the number of rows that were read, as `Progress`.

    Returns
    -------
    FragmentPasses
        Scan of the table, and its passes.
    """
    opened_here = is_source(data)
    table = open_table(data) if opened_here else data
    if opened_here:
        emit_table_notes(table)
    chosen = None if rows is None else row_mask(rows)
    scan, fragments = scan_fragments(
        table.ignoring(unused), target, engine, chosen, seed=seed or 0, rules=rules, weights=weights,
        categorical=categorical, on_progress=on_progress,
    )  # fmt: skip
    row_numbers(rows, scan.rows)  # refuses those that the table does not have
    emit_notes(scan.notes)
    return FragmentPasses(scan, fragments, engine, on_progress)
