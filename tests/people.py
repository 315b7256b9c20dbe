"""A table of people for tests of statistics: what they bought, by age, town, membership and children."""

from __future__ import annotations

import numpy as np
import pandas as pd


def people(n: int = 500, seed: int = 0, q: int = 2) -> pd.DataFrame:
    """n people, whose column `buys` has q classes."""
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "age": random.normal(45, 12, n).round(1),
            "town": random.choice(["Bonn", "Kiel", "Ulm"], n, p=[0.5, 0.3, 0.2]),
            "member": random.choice(["yes", "no"], n),
            "child": random.integers(0, 2, n),
        }
    )
    o = np.column_stack([k * (0.03 * frame.age - 1 + 0.8 * (frame.town == "Kiel")) for k in range(q)])
    frame["buys"] = np.array(["no", "yes", "later", "never"])[(o + random.gumbel(size=(n, q))).argmax(axis=1)]
    return frame


def with_gaps(*, note: bool = False) -> pd.DataFrame:
    """500 people, of whom 30 lack a value, with a column `note` of text and missing values if asked for."""
    frame = people()
    frame.loc[:19, "age"] = np.nan
    frame.loc[15:24, "town"] = None
    frame.loc[30:31, "member"] = None
    frame.loc[40:42, "buys"] = None
    if note:
        frame["note"] = None
        frame.loc[::2, "note"] = "seen"
    return frame
