"""The classes of rows with known labels, and class weights, as the command line gives them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from softreg.cli.console.command_errors import CommandError
from softreg.cli.console.progress_bars import truncate_label
from softreg.cli.console.result_table import format_labels
from softreg.tables import labels
from softreg.tables.row_selection.labelled_rows import NO_RARE, RareClasses, pooled_labels


def known_codes(
    table: pa.Table,
    target: str,
    classes: Sequence[str],
    rare: RareClasses = NO_RARE,
    *,
    missing: str = "error",
    numbers: NDArray[np.int64] | None = None,
    source: str = "",
) -> NDArray[np.int64]:
    """The class of each row (n,), -2 where it has no label (and that is no error), or one that training left out.

    `rare` are the labels that were merged into one class or left out in training, `numbers` (n,) those of the rows in
    the input and `source` its name. Raises `CommandError` for a label that is no class of the model.
    """
    codes = pooled_labels(table, target, classes, rare, missing)
    strange = np.flatnonzero(codes == -1)
    if strange.size:
        label = labels(table.slice(int(strange[0]), 1), target)[0]
        row = int(strange[0]) + 1 if numbers is None else int(numbers[strange[0]])
        of = f" of {source!r}" if source else ""
        raise CommandError(
            f"Column {target!r}{of} has the label {truncate_label(str(label))!r} in row {row:,} (counted "
            f"from 1, without the header), which the model was not trained with; in all, {strange.size:,} of "
            f"{len(codes):,} rows have such labels. The model knows {len(classes):,} classes: "
            f"{format_labels(classes)}. Is it the right column (--target)? If so, correct these labels, leave the rows "
            "out, or train a model with them."
        )
    return codes


def class_weights(told: Sequence[str], classes: Sequence[str]) -> dict[str, float] | str | None:
    """Class weights from texts such as "balanced" or "yes=5,no=1"; None where there are none.

    Labels may hold commas and signs of equality: the longest text before a number that is a class is taken.

    Raises `CommandError` for a label that is no class, and a weight that is no finite number of at least 0.

    >>> class_weights(["a=2,b,c=0.5"], ["a", "b,c"]), class_weights(["balanced"], ["a", "b"])
    ({'a': 2.0, 'b,c': 0.5}, 'balanced')
    """
    if not told:
        return None
    if list(told) == ["balanced"]:
        return "balanced"
    weights: dict[str, float] = {}
    for text in told:
        parts, start = text.split(","), 0
        while start < len(parts):
            runs = [(end, ",".join(parts[start:end])) for end in range(len(parts), start, -1)]
            read = ((end, *_weight(run, classes)) for end, run in runs)
            found = next(((end, label, weight) for end, label, weight in read if label is not None), None)
            if found is None or found[1] in weights:
                some = ", ".join(repr(truncate_label(label)) for label in classes[:6])
                twice = f" names {found[1]!r} twice" if found else ""
                raise CommandError(
                    f"--class-weight {text!r}{twice or ' is neither balanced nor LABEL=W'}: give a class ({some}) and "
                    f"a finite number of at least 0, as in --class-weight {truncate_label(classes[-1])}=5, or balanced alone."
                )
            start, label, weight = found
            assert label is not None
            weights[label] = weight
    if all(weights.get(label, 1.0) == 0 for label in classes):
        raise CommandError(
            "--class-weight gives all classes the weight 0, so that no row counts; give one a larger weight."
        )
    return weights


def _weight(text: str, classes: Sequence[str]) -> tuple[str | None, float]:
    """The class and the weight that a text names; None for anything else."""
    label, _, number = text.rpartition("=")
    try:
        weight = float(number)
    except ValueError:
        return None, math.nan
    known = next((one for one in (label, label.strip()) if one in classes), None)
    return (known, weight) if math.isfinite(weight) and weight >= 0 else (None, weight)
