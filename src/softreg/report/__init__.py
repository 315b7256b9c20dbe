"""Evaluation of predicted probabilities in numbers, figures and one page of HTML: audit a model, write a report."""

from softreg.report.audit import Audit, ClassAudit, audit
from softreg.report.data import WHY, Effect, ReportData, ShownRow, show_rows
from softreg.report.html import render_report, write_report
from softreg.report.reliability import Reliability, reliability_curve
from softreg.report.trust import Ranking, Trust

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
