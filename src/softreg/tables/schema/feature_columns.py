"""Which columns are features, from the lists of columns to use and to leave out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from softreg.tables.columns.errors import TableError, quote, unknown_column_error


def split_column_names(given: Iterable[str], names: Collection[str]) -> tuple[str, ...]:
    """The columns that some texts name, each of which is a name or several with commas between.

    A text that is the name of a column stands for it, commas or not; of a list, the longest runs that are names are
    taken. What is no name of a column stays as it is.

    Example:
        >>> split_column_names(["age,job", "Smith, John", "a,b"], ["age", "job", "Smith, John", "a,b", "a"])
        ('age', 'job', 'Smith, John', 'a,b')
    """
    found: list[str] = []
    for text in given:
        if text in names or "," not in text:
            found.append(text)
            continue
        parts = text.split(",")
        start = 0
        while start < len(parts):
            runs = [(end, ",".join(parts[start:end])) for end in range(len(parts), start, -1)]
            known = ((end, name) for end, run in runs for name in (run, run.strip()) if name in names)
            end, name = next(known, (start + 1, parts[start].strip()))
            if name:
                found.append(name)
            start = end
    return tuple(dict.fromkeys(found))


def excluded_columns(
    names: Sequence[str],
    target: str,
    *,
    drop: Sequence[str],
    features: Sequence[str] | None,
    beside: Sequence[str | None] = (),
    asked: Collection[str] = (),
) -> tuple[str, ...]:
    """The columns of a table that are no features: those to drop, and all that are not in `features`, if it is given.

    `beside` are columns with another purpose (groups, times, weights), which are features only where `features` or
    `asked`, the columns with a kind that was asked for, name them. Raises `TableError` for features that the table does
    not have, that are the target, or that are dropped.

    Example:
        >>> excluded_columns(["age", "day", "job", "y"], "y", drop=["job"], features=None, beside=["day"])
        ('job', 'day')
        >>> excluded_columns(["age", "day", "job", "y"], "y", drop=[], features=["day"], beside=["day"])
        ('age', 'job')
    """
    wanted = set(features or ()) | set(asked)
    gone = [*drop, *(name for name in beside if name is not None and name not in wanted)]
    for name in features or ():
        if name not in names:
            raise unknown_column_error(name, names, "feature column")
        if name == target:
            raise TableError(f"Column {quote(name)} is the target; it cannot be a feature.")
        if name in drop:
            raise TableError(f"Column {quote(name)} is among the features and among the columns to leave out.")
    if features is not None:
        gone += [name for name in names if name not in wanted and name != target]
    return tuple(dict.fromkeys(gone))
