"""fastText on lists of films as words: hierarchical softmax, one against all, and the full softmax.

Probabilities are computed here from its matrices, for all rows of a block at once. The scores of `ova` are sigmoids,
one for each class, which do not sum to 1: they are divided by their sum.
"""

from __future__ import annotations

import sys
import tempfile
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from many.contestant_protocol import Contestant, Fitted, Setting, Trial, grid_trials
from many.huffman import huffman_tree
from many.scoring import log_softmax
from many.task import LogProbabilities, Problem, Task, task

LABEL, END = "__label__", "</s>"
THREADS = 2
DIMENSIONS = 100  # fastText's default
GRID = {
    "hs": [(rate, epochs) for rate in (0.05, 0.1, 0.2, 0.5) for epochs in (5, 10, 20)],
    "ova": [(0.1, 5), (0.2, 5)],
}
"""Rates and epochs that are tried; few of `ova`, whose epochs take as many steps as there are rows and classes."""


def contestants() -> list[Contestant]:
    return [
        Contestant(f"fastText {loss}", "fasttext-community", "fasttext", partial(trials, loss), fit, sparse_only=True)
        for loss in GRID
    ]


def trials(loss: str, problem: Problem) -> list[Trial]:
    """Return a trial for each setting that fastText can fit: at high rates it ends with "Encountered NaN"."""
    work = task(problem.part, problem.validation)
    found: list[Trial] = []
    for rate, epochs in GRID[loss]:
        try:
            found += grid_trials(fit, [{"loss": loss, "rate": rate, "epochs": epochs}], work)
        except RuntimeError as error:
            print(f"fastText {loss} at rate {rate:g}: {error}", file=sys.stderr)
    return found


def write_lines(X: sp.csr_array, y: np.ndarray, path: Path) -> None:
    """Write a line for each row: the label, and a word for each column that is 1."""
    words = np.array([f"f{j}" for j in range(X.shape[1])])
    bounds = X.indptr.tolist()
    with path.open("w") as file:
        for row, (a, b) in enumerate(pairwise(bounds)):
            file.write(f"{LABEL}{y[row]} {' '.join(words[X.indices[a:b]])}\n")


def fit(task: Task, setting: Setting) -> Fitted:
    import fasttext

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.txt"
        write_lines(task.X, task.y, path)
        model = fasttext.train_supervised(
            str(path), loss=setting["loss"], lr=setting["rate"], epoch=setting["epochs"], dim=DIMENSIONS, minCount=1,
            bucket=0, thread=THREADS, verbose=0,
        )  # fmt: skip
    weights = model.get_input_matrix(), model.get_output_matrix()
    return Fitted(probabilities_of(model, setting["loss"], task.X.shape[1], task.q), sum(w.nbytes for w in weights))


def probabilities_of(model: Any, loss: str, d: int, q: int) -> LogProbabilities:
    """Return the function of log probabilities of a model with the words f0, f1, ... and the labels 0, ..., q - 1."""
    words, labels = model.get_words(), model.get_labels(include_freq=True)
    E = np.zeros((d, DIMENSIONS), dtype=np.float32)
    known = np.zeros(d, dtype=np.float32)
    column = np.array([int(word[1:]) for word in words if word != END])
    rows = np.array([k for k, word in enumerate(words) if word != END])
    E[column], known[column] = model.get_input_matrix()[rows], 1
    end = model.get_input_matrix()[words.index(END)]
    V = model.get_output_matrix()
    code = np.array([int(label.removeprefix(LABEL)) for label in labels[0]])
    place = np.empty(q, dtype=np.int64)
    place[code] = np.arange(q)
    tree = huffman_tree(labels[1]) if loss == "hs" else None

    def log_probabilities(X: sp.csr_array) -> np.ndarray:
        H = (X @ E + end) / (X @ known + 1)[:, None]  # the mean over the words and the end of the line
        if tree is not None:
            return tree.leaf_log_probabilities(H @ V[: q - 1].T)[:, place]
        o = (H @ V.T)[:, place]
        if loss == "ova":
            o = -np.logaddexp(0, -o)
        return log_softmax(o)

    return log_probabilities
