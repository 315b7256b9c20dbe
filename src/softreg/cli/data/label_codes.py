"""Class codes of labels, and class weights of the option --class-weight."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from softreg.cli.console.aligned_text import format_labels, truncate_label
from softreg.cli.console.command_errors import CommandError
from softreg.tables import labels
from softreg.tables.row_selection.labelled_rows import class_codes_with_rare
from softreg.tables.row_selection.rare_classes import NO_RARE, RareClasses


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
    """Return the class of each row.

    Parameters
    ----------
    table : pyarrow.Table
        The rows.
    target : str
        Column of labels.
    classes : sequence of str
        Classes of the model.
    rare : RareClasses
        Labels that were merged into one class or left out in training.
    missing : {"error", "drop"}
        Whether a missing label is an error.
    numbers : array of shape (n,), optional
        Number of each row in the input, for messages.
    source : str
        Name of the input, for messages.

    Returns
    -------
    array of shape (n,)
        Codes of the classes; -2 for a row without a label, or with one that training left out.

    Raises
    ------
    CommandError
        If a label is not a class of the model.
    """
    codes = class_codes_with_rare(table, target, classes, rare, missing)
    unknown = np.flatnonzero(codes == -1)
    if unknown.size:
        label = labels(table.slice(int(unknown[0]), 1), target)[0]
        row = int(unknown[0]) + 1 if numbers is None else int(numbers[unknown[0]])
        of = f" of {source!r}" if source else ""
        raise CommandError(
            f"Column {target!r}{of} has the label {truncate_label(str(label))!r} in row {row:,} (counted "
            f"from 1, without the header), which is not a class of the model; in all, {unknown.size:,} of "
            f"{len(codes):,} rows have such labels. The model has {len(classes):,} classes: "
            f"{format_labels(classes)}. Is it the right column (--target)? If so, correct these labels, leave the rows "
            "out, or train a model with them."
        )
    return codes


def class_weights(texts: Sequence[str], classes: Sequence[str]) -> dict[str, float] | str | None:
    """Parse class weights such as "balanced" or "yes=5,no=1".

    Labels may contain commas and equals signs: the longest text before a number that is a class is used.

    Parameters
    ----------
    texts : sequence of str
        Values of the option.
    classes : sequence of str
        Classes of the labels.

    Returns
    -------
    dict of str to float, "balanced", or None
        The weights; None without texts.

    Raises
    ------
    CommandError
        If a label is not a class, or a weight is not a finite number of at least 0.

    Examples
    --------
    >>> class_weights(["a=2,b,c=0.5"], ["a", "b,c"]), class_weights(["balanced"], ["a", "b"])
    ({'a': 2.0, 'b,c': 0.5}, 'balanced')
    """
    if not texts:
        return None
    if list(texts) == ["balanced"]:
        return "balanced"
    weights: dict[str, float] = {}
    for text in texts:
        parts, start = text.split(","), 0
        while start < len(parts):
            runs = [(end, ",".join(parts[start:end])) for end in range(len(parts), start, -1)]
            parsed = ((end, *_weight(run, classes)) for end, run in runs)
            parsed_weight = next(((end, label, weight) for end, label, weight in parsed if label is not None), None)
            if parsed_weight is None or parsed_weight[1] in weights:
                some = ", ".join(repr(truncate_label(label)) for label in classes[:6])
                twice = f" names {parsed_weight[1]!r} twice" if parsed_weight else ""
                example = f"--class-weight {truncate_label(classes[-1])}=5"
                raise CommandError(
                    f"--class-weight {text!r}{twice or ' is neither balanced nor LABEL=W'}: give a class ({some}) and "
                    f"a finite number of at least 0, as in {example}, or balanced alone."
                )
            start, label, weight = parsed_weight
            assert label is not None
            weights[label] = weight
    if all(weights.get(label, 1.0) == 0 for label in classes):
        raise CommandError(
            "--class-weight gives all classes the weight 0, so that no row counts; give one a larger weight."
        )
    return weights


def _weight(text: str, classes: Sequence[str]) -> tuple[str | None, float]:
    """Return the class and the weight that a text names; None for any other text."""
    label, _, number = text.rpartition("=")
    try:
        weight = float(number)
    except ValueError:
        return None, math.nan
    known = next((name for name in (label, label.strip()) if name in classes), None)
    return (known, weight) if math.isfinite(weight) and weight >= 0 else (None, weight)
