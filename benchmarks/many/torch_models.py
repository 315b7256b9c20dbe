"""PyTorch: the sampled softmax with Adagrad, with a weight for each column and class or with embeddings; Adam on the
full softmax.

The sampled softmax has the loss of each row over its label and classes that a log-uniform sampler draws for the batch;
from each logit the log of the probability that the class is drawn is subtracted, and a drawn class that is the label is
left out of that row. Its probabilities are those of the full softmax of its weights. The number of epochs is chosen as
the learning rate is: after each epoch the validation rows judge the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp

from many.contestant_protocol import Contestant, Fitted, Setting, Trial, judge
from many.samplers import LogUniform, by_frequency
from many.scoring import log_softmax
from many.task import LogProbabilities, Problem, Task, task

BATCH = {"sampled": 256, "embeddings": 256, "full": 1024}
MOST_DRAWN, DRAWN_SHARE = 2048, 8
"""Draws for a batch: one in 8 of the classes, at most 2,048."""
DIMENSIONS = 100
RATES = {
    "sampled": {"sparse": (0.01, 0.02, 0.05), "dense": (0.05, 0.1, 0.2)},
    "embeddings": {"sparse": (0.015, 0.03, 0.1)},
    "full": {"sparse": (0.003, 0.01, 0.03), "dense": (0.001, 0.003, 0.01)},
}
"""Learning rates that are tried."""
MOST_EPOCHS = 40
PATIENCE = 2
"""A trial ends after so many epochs without a lower log loss."""
SEED = 0
LITTLE = 1e-10  # epsilon of torch.optim.Adagrad


def contestants() -> list[Contestant]:
    return [
        Contestant("torch sampled softmax", "torch", "torch", partial(trials, "sampled"), fit),
        Contestant(
            "torch sampled softmax, 100 dimensions",
            "torch",
            "torch",
            partial(trials, "embeddings"),
            fit,
            sparse_only=True,
        ),
        Contestant("torch full softmax, Adam", "torch", "torch", partial(trials, "full"), fit),
    ]


class Model(Protocol):
    """A model that learns from batches."""

    batch: int

    def step(self, X: Any, y: np.ndarray) -> None: ...
    def weights(self) -> list[Any]: ...
    def log_probabilities(self) -> LogProbabilities: ...


def model_of(task: Task, setting: Setting) -> Model:
    return {"sampled": Sampled, "embeddings": Embeddings, "full": Full}[setting["kind"]](task, setting)


def trials(kind: str, problem: Problem) -> list[Trial]:
    """Return the least log loss of each rate, and the number of epochs after which it was seen."""
    work = task(problem.part, problem.validation)
    found: list[Trial] = []
    for rate in RATES[kind]["sparse" if problem.sparse else "dense"]:
        setting = {"kind": kind, "rate": rate, "strength": problem.peer_strength if kind == "full" else 0.0}
        model, losses = model_of(work, setting), []
        for epoch in range(1, MOST_EPOCHS + 1):
            run_epoch(model, work, epoch)
            losses.append(judge(model.log_probabilities(), work))
            if epoch - 1 - int(np.argmin(losses)) >= PATIENCE:
                break
        found.append(Trial({**setting, "epochs": int(np.argmin(losses)) + 1}, min(losses)))
    return found


def fit(task: Task, setting: Setting) -> Fitted:
    import torch

    model = model_of(task, setting)
    for epoch in range(1, setting["epochs"] + 1):
        run_epoch(model, task, epoch)
    size = sum(weight.numel() * weight.element_size() for weight in model.weights())
    return Fitted(model.log_probabilities(), size, {"threads": torch.get_num_threads()})


def run_epoch(model: Model, task: Task, epoch: int) -> None:
    """Take a step for each batch of the rows in a random order."""
    order = np.random.default_rng([SEED, epoch]).permutation(len(task.y))
    for a in range(0, len(order), model.batch):
        rows = order[a : a + model.batch]
        model.step(task.X[rows], task.y[rows])


def tensors(weights: list[Any]) -> Iterator[np.ndarray]:
    yield from (weight.detach().numpy() for weight in weights)


def times(X: Any, W: Any) -> Any:
    """Return X @ W for rows in NumPy or SciPy and a tensor W (d, k)."""
    import torch

    if not sp.issparse(X):
        return torch.from_numpy(X) @ W
    index, start = (torch.from_numpy(part.astype(np.int64)) for part in (X.indices, X.indptr[:-1]))
    return torch.nn.functional.embedding_bag(index, W, start, mode="sum")


class Draws:
    """Ranks of the classes, and the candidates of a batch."""

    def __init__(self, task: Task) -> None:
        self.rank, self.order = by_frequency(task.y)
        self.sampler, self.count = LogUniform(task.q), min(MOST_DRAWN, max(1, task.q // DRAWN_SHARE))
        self.random = np.random.default_rng(SEED)

    def candidates(self, y: np.ndarray) -> tuple[np.ndarray, Any, Any]:
        """Return the ranks of labels and drawn classes, the place of each label, and what is added to the logits."""
        import torch

        drawn = np.unique(self.sampler.draw(self.count, self.random))
        ids, places = np.unique(np.concatenate([self.rank[y], drawn]), return_inverse=True)
        place = places[: len(y)]
        bias = np.full((len(y), len(ids)), -np.inf, dtype=np.float32)
        inclusion = self.sampler.log_inclusion(ids, self.count).astype(np.float32)
        bias[:, places[len(y) :]] = -inclusion[places[len(y) :]]
        bias[np.arange(len(y)), place] = -inclusion[place]
        return ids, torch.from_numpy(place), torch.from_numpy(bias)


class Sampled:
    """V (q, d) and b (q,) in the order of ranks; Adagrad on the classes and columns of the batch."""

    batch = BATCH["sampled"]

    def __init__(self, task: Task, setting: Setting) -> None:
        import torch

        self.rate, self.draws = setting["rate"], Draws(task)
        self.V, self.V_squares = (torch.zeros(task.q, task.X.shape[1]) for _ in range(2))
        self.b = torch.from_numpy(np.log(np.bincount(task.y)[self.draws.order] / len(task.y)).astype(np.float32))
        self.b_squares = torch.zeros(task.q)

    def step(self, X: Any, y: np.ndarray) -> None:
        import torch

        ids, place, bias = self.draws.candidates(y)
        if sp.issparse(X):
            columns, index = np.unique(X.indices, return_inverse=True)
            X = sp.csr_array((X.data, index, X.indptr), shape=(X.shape[0], len(columns)))
            at: Any = (torch.from_numpy(ids)[:, None], torch.from_numpy(columns)[None, :])
        else:
            at = torch.from_numpy(ids)
        V, b = self.V[at].requires_grad_(), self.b[ids].requires_grad_()
        o = times(X, V.T.contiguous() if sp.issparse(X) else V.T) + b + bias
        torch.nn.functional.cross_entropy(o, place).backward()
        for weight, squares, where, gradient in (
            (self.V, self.V_squares, at, V.grad), (self.b, self.b_squares, torch.from_numpy(ids), b.grad)
        ):  # fmt: skip
            total = squares[where] + gradient**2
            squares[where] = total
            weight[where] -= self.rate * gradient / (total.sqrt() + LITTLE)

    def weights(self) -> list[Any]:
        return [self.V, self.b]

    def log_probabilities(self) -> LogProbabilities:
        V, b = (weight[self.draws.rank] for weight in tensors(self.weights()))
        W = np.ascontiguousarray(V.T)
        return lambda X: log_softmax(X @ W + b)


class Embeddings:
    """The mean of the embeddings E (d, r) of a row's things, times V (q, r), plus b (q,); sparse Adagrad."""

    batch = BATCH["embeddings"]

    def __init__(self, task: Task, setting: Setting) -> None:
        import torch

        torch.manual_seed(SEED)
        self.draws = Draws(task)
        self.E = torch.nn.EmbeddingBag(task.X.shape[1], DIMENSIONS, mode="mean", sparse=True)
        self.V = torch.nn.Embedding(task.q, DIMENSIONS, sparse=True)
        self.b = torch.nn.Embedding(task.q, 1, sparse=True)
        torch.nn.init.normal_(self.E.weight, std=DIMENSIONS**-0.5)
        torch.nn.init.zeros_(self.V.weight)
        self.b.weight.data[:, 0] = torch.from_numpy(
            np.log(np.bincount(task.y)[self.draws.order] / len(task.y)).astype(np.float32)
        )
        self.optimizer = torch.optim.Adagrad(
            [*self.E.parameters(), *self.V.parameters(), *self.b.parameters()], lr=setting["rate"]
        )

    def step(self, X: Any, y: np.ndarray) -> None:
        import torch

        ids, place, bias = self.draws.candidates(y)
        index, start = (torch.from_numpy(part.astype(np.int64)) for part in (X.indices, X.indptr[:-1]))
        at = torch.from_numpy(ids)
        o = self.E(index, start) @ self.V(at).T + self.b(at)[:, 0] + bias
        self.optimizer.zero_grad()
        torch.nn.functional.cross_entropy(o, place).backward()
        self.optimizer.step()

    def weights(self) -> list[Any]:
        return [self.E.weight, self.V.weight, self.b.weight]

    def log_probabilities(self) -> LogProbabilities:
        E, V, b = tensors(self.weights())
        V, b = V[self.draws.rank], b[self.draws.rank, 0]
        return lambda X: log_softmax((X @ E / X.sum(axis=1)[:, None]).astype(np.float32) @ V.T + b)


class Full:
    """Mean cross-entropy over all classes + strength / 2 ||W||^2 with Adam: softreg's objective."""

    batch = BATCH["full"]

    def __init__(self, task: Task, setting: Setting) -> None:
        import torch

        self.W = torch.zeros(task.X.shape[1], task.q, requires_grad=True)
        self.b = torch.from_numpy(np.log(np.bincount(task.y) / len(task.y)).astype(np.float32)).requires_grad_()
        self.strength = setting["strength"]
        self.optimizer = torch.optim.Adam([self.W, self.b], lr=setting["rate"])

    def step(self, X: Any, y: np.ndarray) -> None:
        import torch

        loss: Callable[..., Any] = torch.nn.functional.cross_entropy
        value = loss(times(X, self.W) + self.b, torch.from_numpy(y)) + self.strength / 2 * (self.W**2).sum()
        self.optimizer.zero_grad()
        value.backward()
        self.optimizer.step()

    def weights(self) -> list[Any]:
        return [self.W, self.b]

    def log_probabilities(self) -> LogProbabilities:
        W, b = tensors(self.weights())
        return lambda X: log_softmax(X @ W + b)
