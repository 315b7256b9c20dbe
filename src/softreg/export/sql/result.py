"""The columns that a statement adds to a table."""

from __future__ import annotations

from dataclasses import dataclass

from softreg.export.export_errors import ExportError
from softreg.export.program import Program
from softreg.export.sql.expressions import Choice, search
from softreg.export.sql.syntax import ROW, Syntax, checked_text, folded, identifier, single_kind

PREDICTION = "prediction"
"""Name of the column of labels, as `softreg predict` writes it."""


@dataclass(frozen=True)
class Result:
    """Columns that a statement adds.

    Attributes
    ----------
    row : str
        Alias of the table, an identifier.
    winner : str
        Number of the most likely class.
    probabilities : tuple of str (q,)
        Probability of each class.
    labels : tuple of str (q,)
        Literal of each class label.
    names : tuple of str (q + 1,)
        Names of the columns, that of the label first.
    """

    row: str
    winner: str
    probabilities: tuple[str, ...]
    labels: tuple[str, ...]
    names: tuple[str, ...]

    @property
    def values(self) -> list[str]:
        """Expression of each column."""
        label = search(self.winner, [Choice(str(k), literal) for k, literal in enumerate(self.labels)])
        return [label, *self.probabilities]


def check_inputs(program: Program, syntax: Syntax) -> None:
    """Check that the system tells the names of the columns apart.

    Parameters
    ----------
    program : Program
        Program.
    syntax : Syntax
        Dialect.

    Raises
    ------
    ExportError
        If two names are the same to the system.
    """
    seen: dict[str, str] = {}
    for name in [name for read in program.inputs for name in (read.elements or (read.name,))]:
        kept = folded(syntax.clipped(name)) if syntax.folds_case else syntax.clipped(name)
        if seen.setdefault(kept, name) != name:
            reason = "ignores the case of names" if syntax.folds_case else f"cuts names to {kept!r}"
            raise ExportError(
                f"The columns {seen[kept]!r} and {name!r} cannot be in one table of {syntax.title}, which {reason}. "
                "Rename one of them before training."
            )


def row_alias(program: Program) -> str:
    """Return the alias of the table, which is no name of a column of the program.

    Parameters
    ----------
    program : Program
        Program.

    Returns
    -------
    str
        Identifier.
    """
    names = {folded(name) for read in program.inputs for name in (read.elements or (read.name,))}
    alias = ROW
    while alias in names:
        alias += "_"
    return identifier(alias)


def result_names(program: Program, syntax: Syntax) -> tuple[str, ...]:
    """Return the names of the added columns: that of the label, then one for each class.

    They are `prediction` and the class labels, as `softreg predict` writes them. Underscores are appended to a name
    until it differs from those of the program's columns, of its target, and of the classes before it, ignoring case.

    Parameters
    ----------
    program : Program
        Program.
    syntax : Syntax
        Dialect.

    Returns
    -------
    tuple of str (q + 1,)
        Names.

    Raises
    ------
    ExportError
        If a label cannot be a name.
    """
    inputs = [name for read in program.inputs for name in (read.elements or (read.name,))]
    taken = {folded(syntax.clipped(name)) for name in (*inputs, program.target)} | {""}
    names = []
    for text in (*program.label_texts, PREDICTION):
        name, end = syntax.clipped(checked_text(text, "class label")), ""
        while folded(name + end) in taken or syntax.clipped(name + end) != name + end:
            if syntax.clipped(name + end) != name + end:
                name = name[:-1]
            else:
                end += "_"
        taken.add(folded(name + end))
        names.append(name + end)
    return (names[-1], *names[:-1])


def result_labels(program: Program, syntax: Syntax) -> tuple[str, ...]:
    """Return the class labels as literals: of their own type if it is that of all, and as text otherwise.

    Parameters
    ----------
    program : Program
        Program.
    syntax : Syntax
        Dialect.

    Returns
    -------
    tuple of str (q,)
        Literals.
    """
    own = single_kind(program.classes) is not None
    return tuple(syntax.label(label) for label in (program.classes if own else program.label_texts))
