"""Which film next? A softmax regression with a class for each film, on the last films that a person rated.

    python examples/next_film.py ml-latest-small
    python examples/next_film.py ml-latest-small --films 0 --strength 3e-4    # all films with 20 ratings or more
    python examples/next_film.py ml-latest-small --after "Alien (1979)" "Aliens (1986)"

The folder holds ratings.csv and movies.csv of MovieLens. docs/examples/next-film.md explains the output.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import scipy.sparse as sp

from softreg import SoftmaxRegression, TableError, read_table
from softreg.probability import Interval, bootstrap_means, interval

LEAST_RATINGS = 20
STRENGTHS = (1e-3, 3e-4, 1e-4, 1e-5)
TOP = 10
HISTORIES = (
    ["Toy Story (1995)", "Aladdin (1992)", "Lion King, The (1994)"],
    ["Silence of the Lambs, The (1991)", "Seven (a.k.a. Se7en) (1995)", "Pulp Fiction (1994)"],
    ["Lord of the Rings: The Fellowship of the Ring, The (2001)", "Matrix, The (1999)"],
)


@dataclass(frozen=True)
class Steps:
    """Steps of people from film to film.

    Attributes
    ----------
    last : csr_array of shape (n, films)
        1 for each of the last films before the step, else 0.
    film : ndarray of shape (n,)
        The next film.
    person : ndarray of shape (n,)
        The person.
    seen : csr_array of shape (n, films)
        1 for each film that the person rated before the step.
    """

    last: sp.csr_array
    film: np.ndarray
    person: np.ndarray
    seen: sp.csr_array

    def __getitem__(self, rows: np.ndarray) -> Steps:
        return Steps(self.last[rows], self.film[rows], self.person[rows], self.seen[rows])


def main() -> None:
    options = parse_arguments()
    random = np.random.default_rng(options.seed)
    steps, titles = read_steps(options.folder, options.films, options.last, random)
    people = random.permutation(np.unique(steps.person))
    fifth = len(people) // 5
    test = steps[np.isin(steps.person, people[:fifth])]
    train = steps[np.isin(steps.person, people[fifth:])]
    print(
        f"{len(titles):,} films; each row has the last {options.last} films of a person, and the next film as its class"
    )
    print(
        f"{len(train.film):,} rows of {len(people) - fifth} people to train on, {len(test.film):,} of {fifth} held out"
    )

    strength = options.strength or choose_strength(train, people[fifth : 2 * fifth], len(titles))
    start = perf_counter()
    model = fit(train, strength)
    seconds, gap = perf_counter() - start, model.solution_.gap
    print(f"\nstrength {strength:g}: within {gap:.0e} nats of the minimum after {seconds:.1f} seconds")

    popular = np.bincount(train.film, minlength=len(titles)) + 1.0
    popular = np.tile(popular / popular.sum(), (len(test.film), 1))
    methods = {
        "softmax regression": probabilities(model, test.last, len(titles)),
        "films that followed": followers(train, test.last, len(titles)),
        "popularity": popular,
    }
    print_scores({name: among_unseen(P, test) for name, P in methods.items()}, test)
    histories = [options.after] if options.after else HISTORIES
    print_recommendations(model, histories, titles, options.last)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="the folder with ratings.csv and movies.csv")
    parser.add_argument(
        "--films", type=int, default=300, help="the most rated films; 0 for all with 20 ratings or more"
    )
    parser.add_argument("--last", type=int, default=10, help="number of last films that are features")
    parser.add_argument("--strength", type=float, help="strength of the penalty; chosen on held-out people without it")
    parser.add_argument("--after", nargs="+", help="titles of films, to recommend the next one")
    parser.add_argument("--seed", type=int, default=0, help="draws the people held out and the order of equal times")
    return parser.parse_args()


def read_steps(folder: Path, films: int, length: int, random: np.random.Generator) -> tuple[Steps, list[str]]:
    """Return the steps of all people and the titles of the films; ratings of equal times are in a random order."""
    person, film, ids = ratings_in_order(folder, films, random)
    position = positions(person)
    movies = read_table(folder / "movies.csv")
    title = dict(zip(np.array(movies["movieId"], dtype=np.int64).tolist(), movies["title"].to_pylist(), strict=True))
    last, seen = (films_before(film, position, n, len(ids)) for n in (length, len(film)))
    steps = Steps(last, film, person, seen)
    return steps[np.flatnonzero(position > 0)], [title[i] for i in ids.tolist()]


def ratings_in_order(
    folder: Path, films: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return person and film of each rating, in the order of person and time, and the sorted numbers of the films."""
    ratings = read_table(folder / "ratings.csv")
    person, movie, time = (np.array(ratings[name], dtype=np.int64) for name in ("userId", "movieId", "timestamp"))
    ids, counts = np.unique(movie, return_counts=True)
    ids = np.sort(ids[np.argsort(-counts, kind="stable")][: films or (counts >= LEAST_RATINGS).sum()])
    rows = np.flatnonzero(np.isin(movie, ids))
    rows = rows[np.lexsort((random.random(len(rows)), time[rows], person[rows]))]
    person, film, time = person[rows], np.searchsorted(ids, movie[rows]), time[rows]
    equal = (np.diff(person) == 0) & (np.diff(time) == 0)
    print(f"{equal.mean():.1%} of the ratings have the time of the one before; their order is drawn at random")
    return person, film, ids


def positions(person: np.ndarray) -> np.ndarray:
    """Return the number of ratings of the same person before each rating: 0 for the first."""
    return np.arange(len(person)) - np.searchsorted(person, person)


def films_before(film: np.ndarray, position: np.ndarray, length: int, films: int) -> sp.csr_array:
    """Return 1 for each of at most `length` films before each row."""
    before = np.minimum(position, length)
    row = np.repeat(np.arange(len(film)), before)
    back = np.arange(len(row)) - np.repeat(np.cumsum(before) - before, before) + 1
    return sp.csr_array((np.ones(len(row)), (row, film[row - back])), shape=(len(film), films))


def fit(steps: Steps, strength: float) -> SoftmaxRegression:
    return SoftmaxRegression(strength).fit(steps.last, steps.film)


def choose_strength(train: Steps, people: np.ndarray, films: int) -> float:
    """Return the strength of least log loss on the steps of some people, by models that are fitted to the others."""
    held_out = np.isin(train.person, people)
    rest, part = train[~held_out], train[held_out]
    losses = {}
    for strength in STRENGTHS:
        P = among_unseen(probabilities(fit(rest, strength), part.last, films), part)
        losses[strength] = surprisals(P, part).mean()
    print(f"\nlog loss of {len(people)} people of these, by models of the others:", end=" ")
    print(", ".join(f"strength {strength:g}: {loss:.3f}" for strength, loss in losses.items()))
    return min(losses, key=losses.get)


def probabilities(model: SoftmaxRegression, last: sp.csr_array, films: int) -> np.ndarray:
    """Return the probabilities (n, films) of all films; 0 for one that is the next film of no training row."""
    P = np.zeros((last.shape[0], films))
    P[:, model.classes_] = model.predict_proba(last)
    return P


def followers(train: Steps, last: sp.csr_array, films: int) -> np.ndarray:
    """Return the mean, over the last films, of the shares of the films that followed each of them in training."""
    popular = np.bincount(train.film, minlength=films) / len(train.film)
    follows = (train.last.T @ sp.csr_array(np.eye(films))[train.film]).toarray() + TOP * popular  # pseudo-counts
    return last @ (follows / follows.sum(axis=1, keepdims=True)) / last.sum(axis=1)[:, None]


def among_unseen(P: np.ndarray, steps: Steps) -> np.ndarray:
    """Return the probabilities among the films that a person has not rated before."""
    P = np.where(steps.seen.toarray() > 0, 0.0, P)
    return P / P.sum(axis=1, keepdims=True)


def surprisals(P: np.ndarray, steps: Steps) -> np.ndarray:
    return -np.log(P[np.arange(len(P)), steps.film])


def hits(P: np.ndarray, steps: Steps) -> np.ndarray:
    """Return 1 where the next film is among the ten most probable ones, else 0."""
    best = np.argpartition(-P, TOP, axis=1)[:, :TOP]
    return (best == steps.film[:, None]).any(axis=1).astype(float)


def mean_over_people(values: np.ndarray, person: np.ndarray) -> Interval:
    """Return the mean over rows with its bootstrap interval; people are drawn, as rows of a person are dependent."""
    _, code, rows = np.unique(person, return_inverse=True, return_counts=True)
    means = bootstrap_means(np.column_stack([np.bincount(code, values), rows]))
    return interval(values.mean(), means[:, 0] / means[:, 1])


def print_scores(methods: dict[str, np.ndarray], test: Steps) -> None:
    print(f"\n{'held-out people':23}{f'next film in the top {TOP}':28}{'log loss (nats)':27}perplexity")
    found = {name: (hits(P, test), surprisals(P, test)) for name, P in methods.items()}
    for name, (hit, surprisal) in found.items():
        loss = mean_over_people(surprisal, test.person)
        share = percent(mean_over_people(hit, test.person))
        print(f"{name:23}{share:28}{nats(loss):27}{np.exp(loss.value):.0f}")
    first, second = list(found.values())[:2]
    more, loss = (mean_over_people(a - b, test.person) for a, b in zip(first, second, strict=True))
    points = f"{100 * more.value:.1f} ({100 * more.low:.1f} to {100 * more.high:.1f}) points"
    print(f"{'first minus second':23}{points:28}{nats(loss)}")


def nats(x: Interval) -> str:
    return f"{x.value:.3f} ({x.low:.3f} to {x.high:.3f})"


def percent(x: Interval) -> str:
    return f"{x.value:.1%} ({x.low:.1%} to {x.high:.1%})"


def print_recommendations(model: SoftmaxRegression, histories, titles: list[str], length: int) -> None:
    for history in histories:
        unknown = [title for title in history if title not in titles]
        if unknown:
            raise SystemExit(f"There is no film {unknown[0]!r} among the {len(titles)}.")
        row = np.zeros((1, len(titles)))
        row[0, [titles.index(title) for title in history[-length:]]] = 1
        P = probabilities(model, sp.csr_array(row), len(titles))[0] * (row[0] == 0)
        best = np.argsort(-P, kind="stable")[:5]
        print(f"\nafter {'; '.join(history)}:")
        print("\n".join(f"  {P[j] / P.sum():5.1%}  {titles[j]}" for j in best))


if __name__ == "__main__":
    try:
        main()
    except TableError as error:
        raise SystemExit(str(error)) from None
