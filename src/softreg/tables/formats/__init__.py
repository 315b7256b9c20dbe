"""Formats of numbers written as text: inference from a column, parsing, and storage in the model.

The package imports `columns` and the field readers of `softreg.models.serialization`. A new notation of numbers goes
to `number_formats`, a rule that decides whether text is a number to `infer_number_format`.
"""
