"""Which columns are features: names given by the user, columns to use, and columns to leave out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from softreg.tables.columns.table_errors import TableError, quote, unknown_column_error


def split_column_names(given: Iterable[str], names: Collection[str]) -> tuple[str, ...]:
    """Return the columns that texts name, each of which is a name or several with commas between them.

    A text that is the name of a column is that column, with or without commas; of a list, the longest runs that are
    names are taken. Text that is no name is returned as it is.

    Parameters
    ----------
    given : iterable of str
        Texts.
    names : collection of str
        Columns of the table.

    Returns
    -------
    tuple of str
        Names, each once.

    Examples
    --------
    >>> split_column_names(["age,job", "Smith, John", "a,b"], ["age", "job", "Smith, John", "a,b", "a"])
    ('age', 'job', 'Smith, John', 'a,b')
    """
    columns: list[str] = []
    for text in given:
        if text in names or "," not in text:
            columns.append(text)
            continue
        parts = text.split(",")
        start = 0
        while start < len(parts):
            runs = [(end, ",".join(parts[start:end])) for end in range(len(parts), start, -1)]
            known = ((end, name) for end, run in runs for name in (run, run.strip()) if name in names)
            end, name = next(known, (start + 1, parts[start].strip()))
            if name:
                columns.append(name)
            start = end
    return tuple(dict.fromkeys(columns))


def excluded_columns(
    names: Sequence[str],
    target: str,
    *,
    drop: Sequence[str],
    features: Sequence[str] | None,
    beside: Sequence[str | None] = (),
    requested: Collection[str] = (),
) -> tuple[str, ...]:
    """Return the columns of a table that are no features.

    Parameters
    ----------
    names : sequence of str
        Columns of the table.
    target : str
        Column of labels.
    drop : sequence of str
        Columns to leave out.
    features : sequence of str or None
        The only columns to use; None for all.
    beside : sequence of str or None
        Columns with another purpose (groups, times, weights), which are features only if `features` or `requested` has
        them.
    requested : collection of str
        Columns with a requested kind.

    Returns
    -------
    tuple of str
        Names, each once.

    Raises
    ------
    TableError
        If a feature does not exist, is the target, or is dropped.

    Examples
    --------
    >>> excluded_columns(["age", "day", "job", "y"], "y", drop=["job"], features=None, beside=["day"])
    ('job', 'day')
    >>> excluded_columns(["age", "day", "job", "y"], "y", drop=[], features=["day"], beside=["day"])
    ('age', 'job')
    """  # noqa: DOC501
    named = set(features or ()) | set(requested)
    excluded = [*drop, *(name for name in beside if name is not None and name not in named)]
    for name in features or ():
        if name not in names:
            raise unknown_column_error(name, names, "feature column")
        if name == target:
            raise TableError(f"Column {quote(name)} is the target; it cannot be a feature.")
        if name in drop:
            raise TableError(f"Column {quote(name)} is among the features and among the columns to leave out.")
    if features is not None:
        excluded += [name for name in names if name not in named and name != target]
    return tuple(dict.fromkeys(excluded))
