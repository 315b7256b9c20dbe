"""Evaluation of predicted probabilities: scores, calibration, figures, and one page of HTML.

`groups` evaluates groups of rows, `evaluation` computes all other numbers, `figures` draws them, `page` writes
sentences, tables and the page. The package may import `models` and below; the command line gathers its input.
"""

from softreg.lazy import lazy_names
from softreg.report.evaluation.audit_result import Audit, ClassAudit
from softreg.report.evaluation.calibration_audit import CalibrationAudit
from softreg.report.evaluation.model_audit import audit_model
from softreg.report.evaluation.probability_audit import audit
from softreg.report.evaluation.ranking_scores import Ranking
from softreg.report.evaluation.reliability import Reliability, reliability_curve
from softreg.report.groups.group_audit import GroupAudit, GroupScore
from softreg.report.groups.group_search import FoundGroup, GroupSearch, search_groups
from softreg.report.groups.held_out_repair import GroupRepair
from softreg.report.page.evaluation_record import evaluation_record
from softreg.report.page.render import render_report, write_report
from softreg.report.page.report_data import CONTRIBUTIONS, Effect, ReportData, ShownRow, show_rows

__all__ = [
    "CONTRIBUTIONS",
    "Audit",
    "CalibrationAudit",
    "ClassAudit",
    "Effect",
    "FoundGroup",
    "GroupAudit",
    "GroupRepair",
    "GroupScore",
    "GroupSearch",
    "Ranking",
    "Reliability",
    "ReportData",
    "ShownRow",
    "audit",
    "audit_model",
    "evaluation_record",
    "reliability_curve",
    "render_report",
    "search_groups",
    "show_rows",
    "write_report",
]

__getattr__, __dir__ = lazy_names(__name__, {})
