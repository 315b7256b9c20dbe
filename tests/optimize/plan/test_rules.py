"""The rules choose what they chose before they were a table, refuse what a plan cannot solve, and cost little time."""

from __future__ import annotations

import csv
from dataclasses import fields, replace
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest

from softreg.optimize import elastic_net, l2, make_penalty, minimise
from softreg.optimize.plan import LIMITS, RULES, SOLVERS, Facts, Limits, Purpose, choose, facts_of
from softreg.optimize.plan.print_rules import BEGIN, END, PAGES, documented_fields, updated
from softreg.optimize.plan.problem_facts import Stored
from softreg.rows import as_rows

CHOICES = Path(__file__).with_name("choices.csv")
"""Problems of many shapes, and what the rules do with each."""
ROOT = Path(__file__).resolve().parents[3]


def facts_from(row: dict[str, str]) -> Facts:
    """Return the facts of a line of `choices.csv`."""
    strength, ratio, m = float(row["strength"]), float(row["l1_ratio"]), int(row["m"])
    penalty = elastic_net(np.full(m, strength), ratio)
    if row["restricted"] == "True":
        penalty = replace(penalty, support=np.ones((m, 1, 1), dtype=bool))
    n, d, codes = int(row["n"]), int(row["d"]), np.zeros(1, dtype=int)
    facts = facts_of(as_rows(np.zeros((1, 1)), codes), int(row["q"]), penalty)
    smooth = facts.smooth and facts.strongly_convex
    return replace(
        facts,
        n=n,
        d=d,
        stored=Stored.SPARSE if row["stored"] == "csr" else Stored.DENSE,
        stored_numbers=int(row["numbers"]),
        itemsize=np.dtype(row["dtype"]).itemsize,
        fits_in_memory=row["in_memory"] == "True",
        column_access=row["stored"] != "other" and row["in_memory"] == "True",
        row_square_mean=float(row["row_square"]) if row["row_square"] and smooth else None,
        started=row["cold"] == "False",
        working_set=row["subset"] == "True",
        purpose=Purpose(row["purpose"]),
        tolerance=float(row["tolerance"]),
    )


def test_choices_are_those_on_record() -> None:
    with CHOICES.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > 400
    limits = replace(LIMITS, wide_classes=10**9, streamed_classes=10**9)  # there were no methods for many classes
    for row in rows:
        facts = facts_from(row)
        if row["transform"] == "error":
            with pytest.raises(ValueError, match="cannot minimise"):
                choose(facts, row["solver"], limits)
            continue
        plan = choose(facts, row["solver"], limits)
        if row["transform"] != "none":
            assert plan.name == row["transform"], row
            continue
        chosen = (plan.method, plan.curvature, plan.start, plan.logits)
        assert chosen == tuple(row[name] for name in ("method", "curvature", "start", "logits")), row


def test_every_rule_is_chosen_by_some_problem() -> None:
    with CHOICES.open() as file:
        rows = [row for row in csv.DictReader(file) if row["transform"] != "error"]
    chosen = {choose(facts_from(row), row["solver"]).name for row in rows}
    group = make_penalty("group", 0.1, 1.0)
    chosen.add(choose(facts_of(as_rows(np.zeros((9, 3)), np.zeros(9, int)), 2, group)).name)
    chosen.add(choose(facts_of(as_rows(np.zeros((6000, 3)), np.arange(6000) % 3000), 3000, l2(1e-3))).name)
    assert chosen == {rule.name for rule in RULES}


def test_an_unknown_solver_names_all() -> None:
    with pytest.raises(ValueError, match="solver='sag' is not one of auto, newton, lbfgs, row-space"):
        minimise(as_rows(np.eye(2), np.arange(2)), 2, l2(1.0), solver="sag")


def test_the_reason_is_one_sentence_with_the_facts() -> None:
    facts = facts_of(as_rows(np.zeros((90, 3)), np.arange(90) % 2), 2, l2(1.0))
    assert choose(facts).why.startswith("n = 90 rows, d = 3 columns, q = 2 classes, p = 4 parameters: q <= 12;")
    assert choose(facts, "lbfgs-sampled").why == "solver='lbfgs-sampled' was given."
    assert (
        choose(facts, limits=replace(LIMITS, newton_multiplications=0.0, newton_pass_ratio=0.0)).name == "lbfgs-sampled"
    )


def test_a_fallback_is_the_next_plan_that_applies() -> None:
    facts = replace(
        facts_of(as_rows(np.zeros((9, 3)), np.zeros(9, int)), 4, l2(1e-3)),
        n=15_000,
        d=77_515,
        stored_numbers=1_950_000,
        row_square_mean=1.0,
    )
    plan = choose(facts)
    assert (plan.name, plan.fallback) == ("dual-ascent", "lbfgs-diagonal")
    assert choose(replace(facts, row_square_mean=None)).name == plan.fallback


def test_planning_costs_little() -> None:
    """Far less than the fit of iris, which takes about a millisecond."""
    rows, penalty = as_rows(np.zeros((150, 4)), np.arange(150) % 3), l2(1e-3)
    times = []
    for _ in range(200):
        began = perf_counter()
        choose(facts_of(rows, 3, penalty))
        times.append(perf_counter() - began)
    assert float(np.median(times)) < 2e-4


@pytest.mark.parametrize("page", PAGES)
def test_pages_hold_what_the_code_prints(page: str) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    for name in PAGES[page]:
        assert BEGIN.format(name=name) in text
        assert END.format(name=name) in text
    assert updated(text, PAGES[page]) == text, "run `python -m softreg.optimize.plan docs`"


def test_every_limit_is_documented_and_every_solver_has_one_name() -> None:
    assert list(documented_fields()) == [field.name for field in fields(Limits)]
    assert len(set(SOLVERS)) == len(SOLVERS)
