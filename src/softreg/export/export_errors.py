"""Errors of an export."""

from __future__ import annotations


class ExportError(ValueError):
    """A model, or a column of it, that a target cannot compute exactly; the message names it and the reason.

    Examples
    --------
    >>> raise ExportError("Column 'body' is free text.")
    Traceback (most recent call last):
    ...
    softreg.export.export_errors.ExportError: Column 'body' is free text.
    """
