"""Which film is next? Rows of the last ten films that a person rated; a class for each film.

Rows and hold-outs are those of examples/next_film.py: a fifth of the people is held out with all of their rows, and the
settings are chosen on as many of the others. The folder `movielens-small` of the real data holds the ratings.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

import data
import numpy as np
import scipy.sparse as sp

from many.task import Problem, Rows
from softreg import read_table

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "next_film.py"
LAST = 10
"""Films of a row, as in the example."""
SEED = 0
STRENGTH = 1e-5
STRENGTHS, PEER_STRENGTH = (3e-4, 1e-4, 5e-5, 2e-5), 5e-5
TOLERANCE = {True: 1e-6, False: 1e-4}
"""The gap that is asked for, with the films that have 20 ratings or more and with all films."""
EVERY_FILM = sys.maxsize


@cache
def example() -> ModuleType:
    """Return the script of the example as a module."""
    spec = importlib.util.spec_from_file_location("next_film", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def film_problem(often_rated: bool, folder: Path | None = None) -> Problem:
    """Return the problem with the films that have 20 ratings or more, or with all films of the table of films."""
    folder = folder or Path(data.real("movielens-small"))
    random = np.random.default_rng(SEED)
    rows, rated = film_rows(folder, often_rated, random)
    people = random.permutation(np.unique(rows.group))
    fifth = len(people) // 5
    test, validation = (np.isin(rows.group, people[a : a + fifth]) for a in (0, fifth))
    return Problem(
        name="films-1297" if often_rated else "films-9742",
        says=f"next film, {'the films of 20 ratings or more' if often_rated else 'all films'}, people held out",
        whole=rows,
        train=rows[np.flatnonzero(~test)],
        test=with_rated(rows, rated, np.flatnonzero(test)),
        part=rows[np.flatnonzero(~test & ~validation)],
        validation=with_rated(rows, rated, np.flatnonzero(validation)),
        strength=STRENGTH,
        tol=TOLERANCE[often_rated],
        strengths=STRENGTHS,
        peer_strength=PEER_STRENGTH,
    )


@dataclass(frozen=True)
class Rated:
    """The films of all ratings in the order of people and time, and the ratings of the same person before each row."""

    film: np.ndarray
    at: np.ndarray
    before: np.ndarray


def film_rows(folder: Path, often_rated: bool, random: np.random.Generator) -> tuple[Rows, Rated]:
    """Return a row for each rating of a person after the first."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):  # the script says what it draws
        person, film, ids = example().ratings_in_order(folder, 0 if often_rated else EVERY_FILM, random)
    columns = len(ids)
    if not often_rated:
        every = np.sort(np.array(read_table(folder / "movies.csv")["movieId"], dtype=np.int64))
        film, columns = np.searchsorted(every, ids)[film], len(every)
    position = example().positions(person)
    last = example().films_before(film, position, LAST, columns)
    later = np.flatnonzero(position > 0)
    X = narrow(last[later])
    return Rows(X, film[later], person[later]), Rated(film, later, position[later])


def narrow(X: sp.csr_array) -> sp.csr_array:
    """Return the matrix in float32 with 32-bit indices."""
    return sp.csr_array(
        (X.data.astype(np.float32), X.indices.astype(np.int32), X.indptr.astype(np.int32)), shape=X.shape
    )


def with_rated(rows: Rows, rated: Rated, chosen: np.ndarray) -> Rows:
    """Return chosen rows with the films that the person had rated before each."""
    at, before = rated.at[chosen], rated.before[chosen]
    index = np.concatenate([rated.film[a - n : a] for a, n in zip(at.tolist(), before.tolist(), strict=True)])
    start = np.concatenate([[0], np.cumsum(before)])
    excluded = sp.csr_array((np.ones(len(index), dtype=bool), index, start), shape=(len(chosen), rows.X.shape[1]))
    return Rows(rows.X[chosen], rows.y[chosen], rows.group[chosen], excluded)
