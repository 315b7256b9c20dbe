"""Prints the rules and the limits as the tables of `docs/solvers.md` and `docs/design.md`."""

from __future__ import annotations

import ast
import inspect
import re
from itertools import pairwise
from pathlib import Path

from softreg.optimize.plan.rules import RULES, filled
from softreg.optimize.problem import limits as limits_module
from softreg.optimize.problem.limits import LIMITS, Limits

BEGIN, END = "<!-- {name}: printed by `python -m softreg.optimize.plan docs` -->", "<!-- end of {name} -->"
"""The comments around a table in a page; what stands between them is replaced."""
PAGES = {"solvers.md": ("rules", "limits"), "design.md": ("choices",)}
"""Tables of each page."""


def rules_table(limits: Limits = LIMITS) -> str:
    """Return the rules with their conditions, requirements and methods, as a Markdown table."""
    lines = ["| plan | chosen when | needs | what it does |", "| --- | --- | --- | --- |"]
    for rule in RULES:
        needs = "; ".join(requirement.text for requirement in rule.requires)
        lines.append(f"| `{rule.name}` | {filled(rule.condition, limits)} | {needs} | {filled(rule.does, limits)} |")
    return "\n".join(lines)


def choices_table(limits: Limits = LIMITS) -> str:
    """Return the rules with their conditions and methods alone, as a Markdown table."""
    lines = ["| rule | chosen when | method |", "| --- | --- | --- |"]
    for rule in RULES:
        method = rule.method if rule.method != "none" else f"{rule.transform}, then by the rules"
        lines.append(f"| `{rule.name}` | {filled(rule.condition, limits)} | {method} |")
    return "\n".join(lines)


def limits_table(limits: Limits = LIMITS) -> str:
    """Return the limits with their values and the strings that document them, as a Markdown table."""
    lines = ["| limit | value | meaning |", "| --- | ---: | --- |"]
    for name, text in documented_fields().items():
        value, meaning = getattr(limits, name), text.replace("|", r"\|")
        lines.append(f"| `{name}` | {value:,} | {meaning} |")
    return "\n".join(lines)


def documented_fields() -> dict[str, str]:
    """Return the fields of `Limits` with the string below each, in their order."""
    tree = ast.parse(inspect.getsource(limits_module))
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef))
    fields = {}
    for field, text in pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
            fields[field.target.id] = " ".join(str(ast.literal_eval(text.value)).split())
    return fields


TABLES = {"rules": rules_table, "choices": choices_table, "limits": limits_table}
"""The tables by their names in the pages."""


def updated(text: str, names: tuple[str, ...]) -> str:
    """Return a page with its tables printed again."""
    for name in names:
        begin, end = BEGIN.format(name=name), END.format(name=name)
        pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        table = f"{begin}\n\n{TABLES[name]()}\n\n{end}"
        text = pattern.sub(lambda _, table=table: table, text)  # type: ignore[misc]
    return text


def write_pages(folder: Path) -> None:
    """Print the tables into the pages of a folder."""
    for page, names in PAGES.items():
        path = folder / page
        path.write_text(updated(path.read_text(encoding="utf-8"), names), encoding="utf-8")
