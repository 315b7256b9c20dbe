"""Monitoring of a deployed model: anytime-valid tests of calibration, figures without labels, drift of columns.

`betting` learns recalibrations online, `e_process` multiplies and mixes their likelihood ratios, `calibration_test`
tests one stream, `class_rates`, `column_drift` and `batch_summary` need no labels, `calibration_monitor` has the public
class, and `page` its report. May import `report`, `tables` and all packages below them. A further alternative to bet on
is a family in `betting`.
"""

from softreg.lazy import lazy_names
from softreg.monitor.batch_summary import BatchSummary
from softreg.monitor.calibration_monitor import Monitor
from softreg.monitor.calibration_test import CalibrationTest
from softreg.monitor.column_drift import ColumnChange, ColumnReference
from softreg.monitor.state_file import StateError
from softreg.monitor.verdict import Advice, Verdict

__all__ = [
    "Advice",
    "BatchSummary",
    "CalibrationTest",
    "ColumnChange",
    "ColumnReference",
    "Monitor",
    "StateError",
    "Verdict",
]

__getattr__, __dir__ = lazy_names(__name__, {})
