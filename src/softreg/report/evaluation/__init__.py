"""Numbers of a report: scores with intervals, calibration, reliability, ROC curves, gains, thresholds, column rates.

A new figure is a module here, a function from an `Audit` to a record, tested by its numbers; formatting of numbers is
in `number_format`. The package may import `probability` and `models` and no other part of `report`.
"""
