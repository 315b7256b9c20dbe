"""Evaluation of predicted probabilities in numbers, figures and one page of HTML: audit a model, write a report."""

from softreg.report.evaluation.audit import Audit, ClassAudit, audit
from softreg.report.evaluation.calibration_audit import Ranking, Trust
from softreg.report.evaluation.reliability import Reliability, reliability_curve
from softreg.report.page.render import render_report, write_report
from softreg.report.page.report_data import WHY, Effect, ReportData, ShownRow, show_rows

__all__ = [
    "WHY",
    "Audit",
    "ClassAudit",
    "Effect",
    "Ranking",
    "Reliability",
    "ReportData",
    "ShownRow",
    "Trust",
    "audit",
    "reliability_curve",
    "render_report",
    "show_rows",
    "write_report",
]
