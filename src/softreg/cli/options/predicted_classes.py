"""`--top K`, `--long` and `--classes A,B` of `predict`: which classes are written, and the tables of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from softreg.cli.console.command_errors import CommandError
from softreg.models.class_blocks.logit_blocks import LogitBlocks
from softreg.models.class_blocks.normalizer import LogNormalizer
from softreg.models.class_blocks.top_classes import ChosenLogits, LargestLogits, top_classes
from softreg.tables.columns.arrow_numpy import number_array, string_array
from softreg.tables.columns.table_errors import quote_list
from softreg.tables.io.prediction_writer import LABEL, ROW, unused_name
from softreg.typing import IntArray, RowNumbers

PROBABILITY, CLASS, RANK = "probability", "class", "rank"


@dataclass(frozen=True)
class TopOption:
    """The k most likely classes of each row: k pairs of columns, or in long form k lines.

    Attributes
    ----------
    k : int
        Number of classes.
    long : bool
        Whether each class has a line of its own, with the number of the row and its rank.
    classes : sequence of str
        Classes of the model.

    Examples
    --------
    >>> TopOption(2, False, ("a", "b", "c")).schema(None, rows=False).names
    ['prediction', 'probability', 'prediction_2', 'probability_2']
    """

    k: int
    long: bool
    classes: Sequence[str]

    def schema(self, kept: pa.Schema | None, rows: bool) -> pa.Schema:
        """Return the columns of the output: those that are kept, the number of the row, classes and probabilities.

        Parameters
        ----------
        kept : pyarrow.Schema or None
            Columns of the input that are written first.
        rows : bool
            Whether the number of the row is written; it always is in long form.

        Returns
        -------
        pyarrow.Schema
        """
        fields = [pa.field(ROW, pa.int64())] if rows or self.long else []
        if self.long:
            fields += [pa.field(RANK, pa.int64()), pa.field(CLASS, pa.string()), pa.field(PROBABILITY, pa.float64())]
        for rank in [] if self.long else range(1, self.count + 1):
            end = "" if rank == 1 else f"_{rank}"
            fields += [pa.field(LABEL + end, pa.string()), pa.field(PROBABILITY + end, pa.float64())]
        return with_kept(pa.schema(fields), kept)

    @property
    def count(self) -> int:
        """Number of classes that are written: k, or all of a model that has fewer."""
        return min(self.k, len(self.classes))

    def table(self, blocks: LogitBlocks, schema: pa.Schema, numbers: RowNumbers, kept: pa.Table | None) -> pa.Table:
        """Return the table of the classes of a batch.

        Parameters
        ----------
        blocks : LogitBlocks
            Logits of the n rows.
        schema : pyarrow.Schema
            Columns of the output.
        numbers : ndarray of shape (n,)
            Numbers of the rows in the input.
        kept : pyarrow.Table or None
            Columns of the input.

        Returns
        -------
        pyarrow.Table
        """
        names = string_array([str(label) for label in self.classes])
        top = top_classes(blocks, self.count, np.arange(blocks.q))
        has_rows = ROW in {name.rstrip("_") for name in schema.names[len(kept.schema) if kept else 0 :]}
        if not self.long:
            columns = [number_array(numbers)] if has_rows else []
            for codes, p in zip(top.codes.T, top.probabilities.T, strict=True):
                columns += [names.take(number_array(codes)), number_array(p)]
        else:
            n, k = top.codes.shape
            kept = None if kept is None else kept.take(number_array(np.repeat(np.arange(n), k)))
            columns = [
                number_array(np.repeat(numbers, k)),
                number_array(np.tile(np.arange(1, k + 1), n)),
                names.take(number_array(top.codes.ravel())),
                number_array(top.probabilities.ravel()),
            ]
        return pa.Table.from_arrays([*(kept.columns if kept is not None else []), *columns], schema=schema)


@dataclass(frozen=True, eq=False)
class ChosenOption:
    """The prediction among all classes, and the probabilities of chosen classes.

    Attributes
    ----------
    codes : ndarray of shape (c,)
        The chosen classes.
    classes : sequence of str
        Classes of the model.

    Examples
    --------
    >>> ChosenOption.parse(("c,a",), ("a", "b", "c")).schema(None, rows=False).names
    ['prediction', 'c', 'a']
    """

    codes: IntArray
    classes: Sequence[str]

    @classmethod
    def parse(cls, values: Sequence[str], classes: Sequence[str]) -> ChosenOption:
        """Parse `A,B`; a value that is a class as a whole may contain commas.

        Parameters
        ----------
        values : sequence of str
            Values of the option.
        classes : sequence of str
            Classes of the model.

        Returns
        -------
        ChosenOption

        Raises
        ------
        CommandError
            If a name is not a class of the model.
        """
        place = {str(label): code for code, label in enumerate(classes)}
        names: list[str] = []
        for value in values:
            names += [value] if value in place else [part.strip() for part in value.split(",")]
        names = list(dict.fromkeys(names))
        missing = [name for name in names if name not in place]
        if missing:
            raise CommandError(
                f"--classes: there is no class {missing[0]!r}; the classes are {quote_list(list(place))}. Separate "
                "classes by commas, or repeat the option for a class whose name contains one."
            )
        return cls(np.array([place[name] for name in names], dtype=np.int64), classes)

    def schema(self, kept: pa.Schema | None, rows: bool) -> pa.Schema:
        """Return the columns of the output, as those of all classes; see `TopOption.schema`."""
        names = [str(self.classes[code]) for code in self.codes]
        fields = [pa.field(unused_name(ROW, names), pa.int64())] if rows else []
        fields += [pa.field(unused_name(LABEL, names), pa.string()), *(pa.field(name, pa.float64()) for name in names)]
        return with_kept(pa.schema(fields), kept)

    def table(self, blocks: LogitBlocks, schema: pa.Schema, numbers: RowNumbers, kept: pa.Table | None) -> pa.Table:
        """Return the table of the classes of a batch; see `TopOption.table`."""
        largest, chosen = LargestLogits(blocks.n, 1), ChosenLogits(blocks.n, self.codes)
        normalizer = LogNormalizer(blocks.n)
        blocks.reduce(largest, chosen, normalizer)
        P = np.exp(chosen.logits - normalizer.log_sum()[:, None])
        names = string_array([str(label) for label in self.classes])
        columns = [names.take(number_array(largest.codes[:, 0])), *map(number_array, P.T)]
        before = 0 if kept is None else len(kept.schema)
        if len(schema) > before + len(columns):
            columns.insert(0, number_array(numbers))
        return pa.Table.from_arrays([*(kept.columns if kept is not None else []), *columns], schema=schema)


def with_kept(schema: pa.Schema, kept: pa.Schema | None) -> pa.Schema:
    """Return a schema after the columns that are kept, renamed where it has their names."""
    for one in reversed(kept or []):
        schema = schema.insert(0, one.with_name(unused_name(one.name, schema.names)))
    return schema


def predicted_classes(
    top: int | None, long: bool, chosen: Sequence[str], classes: Sequence[str], *, others: Sequence[str]
) -> TopOption | ChosenOption | None:
    """Return the option that says which classes are written; None for all.

    Parameters
    ----------
    top : int or None
        Value of --top.
    long : bool
        Whether --long is given.
    chosen : sequence of str
        Values of --classes.
    classes : sequence of str
        Classes of the model.
    others : sequence of str
        Given options that need the probabilities of all classes.

    Returns
    -------
    TopOption, ChosenOption or None

    Raises
    ------
    CommandError
        If options contradict each other, or a class is unknown.
    """
    if long and top is None:
        raise CommandError("--long writes a line for each of the most likely classes: give their number, --top K.")
    if top is not None and chosen:
        raise CommandError("--top writes the most likely classes and --classes chosen ones; give one of the two.")
    if others and (top is not None or chosen):
        option = "--top" if top is not None else "--classes"
        raise CommandError(f"{others[0]} needs the probabilities of all classes; leave out {option}.")
    if top is not None:
        return TopOption(top, long, classes)
    return ChosenOption.parse(chosen, classes) if chosen else None
