"""The benchmark of many classes: its rows, samplers, trees and scores by hand and by brute force, and a small run."""

from __future__ import annotations

import heapq
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from softreg import SoftmaxRegression

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "benchmarks"))

from many import baselines, drawn_problem, film_problems, huffman, results_table, samplers, scoring  # noqa: E402
from many.task import UNKNOWN, Rows, Task, task  # noqa: E402


@pytest.fixture
def ratings(tmp_path: Path) -> Path:
    """Two people who rate films 10, 20 and 30 of four; times are in another order than lines."""
    lines = ["userId,movieId,rating,timestamp", "1,10,4,300", "1,20,3,100", "1,30,5,200", "2,30,1,50", "2,10,2,60"]
    (tmp_path / "ratings.csv").write_text("\n".join(lines) + "\n", "utf-8")
    films = ["movieId,title,genres", "10,A (1990),x", "20,B (1991),x", "25,Unrated (1992),x", "30,C (1993),x"]
    (tmp_path / "movies.csv").write_text("\n".join(films) + "\n", "utf-8")
    return tmp_path


def test_rows_are_the_films_before_in_order_of_time(ratings: Path) -> None:
    rows, rated = film_problems.film_rows(ratings, often_rated=False, random=np.random.default_rng(0))
    # person 1 rates 20, 30, 10 and person 2 rates 30, 10; the columns are 10, 20, 25, 30
    np.testing.assert_array_equal(rows.X.toarray(), [[0, 1, 0, 0], [0, 1, 0, 1], [0, 0, 0, 1]])
    assert rows.y.tolist() == [3, 0, 0]
    assert rows.group.tolist() == [1, 1, 2]
    assert rows.X.dtype == np.float32
    assert rows.X.indices.dtype == np.int32
    judged = film_problems.with_rated(rows, rated, np.array([1, 2]))
    np.testing.assert_array_equal(judged.excluded.toarray(), [[0, 1, 0, 1], [0, 0, 0, 1]])


def test_a_row_has_the_last_ten_films(tmp_path: Path) -> None:
    lines = ["userId,movieId,rating,timestamp", *(f"1,{film},3,{100 + film}" for film in range(12))]
    (tmp_path / "ratings.csv").write_text("\n".join(lines) + "\n", "utf-8")
    (tmp_path / "movies.csv").write_text("movieId,title\n" + "".join(f"{k},F{k}\n" for k in range(12)), "utf-8")
    rows, rated = film_problems.film_rows(tmp_path, often_rated=False, random=np.random.default_rng(0))
    assert np.flatnonzero(rows.X[[-1]].toarray()).tolist() == list(range(1, 11))
    everything = film_problems.with_rated(rows, rated, np.array([len(rows) - 1])).excluded
    assert np.flatnonzero(everything.toarray()).tolist() == list(range(11))


def test_the_real_films(data_folder: Path) -> None:
    folder = data_folder / "movielens-small"
    if not folder.is_dir():
        pytest.skip("movielens-small is not among the real data")
    problem = film_problems.film_problem(often_rated=True, folder=folder)
    assert problem.whole.X.shape == (67_288, 1_297)
    assert (len(problem.train), len(problem.test)) == (52_447, 14_841)  # as docs/examples/next-film.md has them
    assert len(problem.part) + len(problem.validation) == len(problem.train)
    assert not set(problem.test.group) & set(problem.train.group)
    assert not set(problem.part.group) & set(problem.validation.group)
    assert not problem.test.excluded[np.arange(len(problem.test)), problem.test.y].any()  # nobody rates a film twice
    chosen = task(problem.train, problem.test)
    assert scoring.score(baselines.followers(chosen, {}).log_probabilities, chosen).top[0] == pytest.approx(
        0.181, abs=5e-4
    )


def test_drawn_rows_depend_on_the_seed_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (drawn_problem.drawn_problem(0.002) for _ in range(2))
    np.testing.assert_array_equal(first.train.X, second.train.X)
    np.testing.assert_array_equal(first.train.y, second.train.y)
    assert first.train.X.shape == (400, 500)
    assert first.train.X.dtype == np.float32
    assert np.unique(first.train.y).tolist() == list(range(200))  # every class has a row
    assert len(first.test) == len(first.validation) == 40
    monkeypatch.setattr(drawn_problem, "SEED", 1)
    assert not np.array_equal(drawn_problem.drawn_problem(0.002).train.X, first.train.X)


def test_rows_drawn_by_frequency_follow_it() -> None:
    shape = drawn_problem.Shape(q=50, d=4, n=60_050)
    rows = drawn_problem.drawn_rows(shape, drawn_problem.drawn_classes(shape), shape.n, stream=0)
    classes = drawn_problem.drawn_classes(shape)
    share = np.bincount(rows.y, minlength=50) / shape.n
    expected = drawn_problem.frequencies(50)
    group = np.array([expected[classes.group == g].mean() for g in classes.group])
    mixed = (1 - drawn_problem.CONFUSED) * expected + drawn_problem.CONFUSED * group
    np.testing.assert_allclose(share, (60_000 * mixed + 1) / shape.n, atol=5 * np.sqrt(0.1 / shape.n))


def test_the_drawn_classes_can_be_told_apart_but_not_surely() -> None:
    problem = drawn_problem.drawn_problem(0.003)
    model = SoftmaxRegression(problem.strength, tol=1e-3).fit(problem.train.X, problem.train.y)
    highest = np.log(len(model.classes_))
    for rows in (problem.train, problem.test):
        loss = -model.predict_log_proba(rows.X)[np.arange(len(rows)), rows.y].mean()
        assert 0.1 * highest < loss < 0.9 * highest


def test_labels_become_codes_of_the_classes_that_are_fitted() -> None:
    fitted = Rows(np.zeros((3, 1)), np.array([7, 2, 7]), np.arange(3))
    excluded = sp.csr_array(np.eye(3, 9, k=7, dtype=bool))
    found = task(fitted, Rows(np.zeros((3, 1)), np.array([2, 5, 8]), np.arange(3), excluded))
    assert found.classes.tolist() == [2, 7]
    assert found.y.tolist() == [1, 0, 1]
    assert found.y_new.tolist() == [0, UNKNOWN, UNKNOWN]
    assert found.excluded_new.toarray().tolist() == [[False, True], [False, False], [False, False]]


def test_the_log_uniform_sampler_draws_its_probabilities() -> None:
    sampler = samplers.LogUniform(20)
    p = sampler.probabilities(np.arange(20))
    assert p.sum() == pytest.approx(1, abs=1e-12)
    assert (np.diff(p) < 0).all()
    random = np.random.default_rng(0)
    drawn = sampler.draw(200_000, random)
    np.testing.assert_allclose(np.bincount(drawn, minlength=20) / len(drawn), p, atol=4e-3)
    hits = np.array([np.bincount(sampler.draw(8, random), minlength=20) > 0 for _ in range(20_000)])
    np.testing.assert_allclose(hits.mean(axis=0), np.exp(sampler.log_inclusion(np.arange(20), 8)), atol=0.015)


def test_ranks_by_frequency() -> None:
    rank, order = samplers.by_frequency(np.array([0, 2, 2, 1, 2, 1]))
    assert order.tolist() == [2, 1, 0]
    assert rank[order].tolist() == [0, 1, 2]


def test_candidates_of_a_batch() -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    from many.torch_models import Draws

    labels = np.repeat(np.arange(40), np.arange(40, 0, -1))
    draws = Draws(Task(np.zeros((len(labels), 1)), labels, None, None, None, None, np.arange(40)))
    y = np.array([0, 39, 39])
    ids, place, bias = draws.candidates(y)
    assert ids[place.numpy()].tolist() == [0, 39, 39]  # the classes are in the order of their ranks
    inclusion = draws.sampler.log_inclusion(ids, draws.count)
    bias = bias.numpy()
    np.testing.assert_allclose(bias[np.arange(3), place.numpy()], -inclusion[place.numpy()], rtol=1e-5)
    assert np.isfinite(bias[1]).sum() <= draws.count + 1
    np.testing.assert_array_equal(np.isfinite(bias[1]), np.isfinite(bias[2]))  # the draws are shared


def test_drawing_every_class_is_the_full_softmax(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from many import torch_models

    monkeypatch.setattr(torch_models, "DRAWN_SHARE", 1)
    random = np.random.default_rng(0)
    labels = np.concatenate([np.arange(6), random.integers(6, size=30)])
    draws = torch_models.Draws(Task(np.zeros((36, 1)), labels, None, None, None, None, np.arange(6)))
    draws.count = 100_000  # each class is drawn
    o = torch.from_numpy(random.normal(size=(36, 6)).astype(np.float32))
    ids, place, bias = draws.candidates(labels)
    sampled = torch.nn.functional.cross_entropy(o[:, draws.order[ids]] + bias, place)
    assert float(sampled) == pytest.approx(
        float(torch.nn.functional.cross_entropy(o, torch.from_numpy(labels))), abs=1e-4
    )


def depths(tree: huffman.Tree) -> np.ndarray:
    q = len(tree.left) + 1
    depth = np.zeros(2 * q - 1, dtype=int)
    for node in range(q - 2, -1, -1):
        depth[[tree.left[node], tree.right[node]]] = depth[q + node] + 1
    return depth[:q]


def test_the_tree_is_a_shortest_code() -> None:
    random = np.random.default_rng(0)
    for q in (2, 3, 10, 57):
        counts = np.sort(random.integers(1, 100, size=q))[::-1]
        queue, length = counts.tolist(), 0
        heapq.heapify(queue)
        while len(queue) > 1:
            joined = heapq.heappop(queue) + heapq.heappop(queue)
            length += joined
            heapq.heappush(queue, joined)
        assert (counts * depths(huffman.huffman_tree(counts))).sum() == length
    with pytest.raises(ValueError, match="increase"):
        huffman.huffman_tree(np.array([1, 2]))


def test_probabilities_of_leaves_by_hand() -> None:
    tree = huffman.huffman_tree(np.array([5, 2, 1]))  # 1 joins 2, and their node joins 5
    right = 1 / (1 + np.exp(-np.array([0.3, -0.7])))
    found = np.exp(tree.leaf_log_probabilities(np.array([[0.3, -0.7]])))[0]
    # the node of the classes 2 (left) and 1 (right) has the count 3, the smaller one of the root's children
    np.testing.assert_allclose(found, [right[1], (1 - right[1]) * right[0], (1 - right[1]) * (1 - right[0])])
    assert found.sum() == pytest.approx(1)


@pytest.mark.parametrize("loss", ["hs", "ova", "softmax"])
def test_probabilities_are_those_of_fasttext(loss: str, tmp_path: Path) -> None:
    fasttext = pytest.importorskip("fasttext", reason="fastText is not installed")
    from many import fasttext_models

    random = np.random.default_rng(0)
    X = sp.csr_array((random.random((300, 12)) < 0.3).astype(np.float32))
    y = np.concatenate([np.arange(9), random.integers(9, size=291)])
    fasttext_models.write_lines(X, y, tmp_path / "rows.txt")
    model = fasttext.train_supervised(
        str(tmp_path / "rows.txt"), loss=loss, dim=100, lr=0.5, epoch=20, minCount=1, bucket=0, thread=1, verbose=0
    )
    found = np.exp(fasttext_models.probabilities_of(model, loss, 12, 9)(X))
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    for row in range(5):
        words = " ".join(f"f{j}" for j in X[[row]].indices)
        told = {label: p for p, label in model.f.predict(words + "\n", -1, 0.0, "strict")}
        own = np.array([told[f"__label__{k}"] for k in range(9)])
        own = own / own.sum() if loss == "ova" else own
        np.testing.assert_allclose(found[row], own, atol=4e-3 if loss == "ova" else 1e-4)  # its sigmoid is a table


def test_scores_are_those_of_the_whole_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "BLOCK_NUMBERS", 100)  # several blocks
    random = np.random.default_rng(0)
    o = random.normal(size=(40, 25))
    excluded = random.random((40, 25)) < 0.2
    y = random.integers(25, size=40)
    excluded[np.arange(40), y] = False
    y[3] = UNKNOWN
    rows = np.arange(40.0)[:, None]
    judged = Task(None, np.arange(25), rows, y, np.arange(40), sp.csr_array(excluded), np.arange(25))
    found = scoring.score(lambda X: scoring.log_softmax(o[X[:, 0].astype(int)]), judged)
    P = np.exp(o) / np.exp(o).sum(axis=1, keepdims=True)
    known = y >= 0
    assert found.known == 39 / 40
    assert found.log_loss[0] == pytest.approx(-np.log(P[known, y[known]]).mean())
    P = np.where(excluded, 0, P)
    P /= P.sum(axis=1, keepdims=True)
    assert found.log_loss_allowed is not None
    assert found.log_loss_allowed[0] == pytest.approx(-np.log(P[known, y[known]]).mean())
    best = np.argsort(-P, axis=1)[:, :10]
    assert found.top[0] == pytest.approx((best == y[:, None]).any(axis=1).mean())
    with pytest.raises(ArithmeticError, match="sum"):
        scoring.score(lambda X: o[X[:, 0].astype(int)], judged)


def test_films_that_followed_are_those_of_the_example(ratings: Path) -> None:
    rows, _ = film_problems.film_rows(ratings, often_rated=False, random=np.random.default_rng(0))
    chosen = task(rows, rows)
    found = np.exp(baselines.followers(chosen, {}).log_probabilities(rows.X))
    example = film_problems.example()
    steps = example.Steps(rows.X, rows.y, rows.group, None)
    np.testing.assert_allclose(found, example.followers(steps, rows.X, 4)[:, chosen.classes], rtol=1e-6)


def test_the_command_measures_and_prints(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "many_classes.py"), "drawn", "--scale", "0.001"]
    command += ["--only", "softreg", "--only", "popularity", "--out", str(tmp_path / "found.json")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "found.json").read_text("utf-8"))["drawn-0.001"]
    ours = found["softreg"]["train"]
    assert ours["gap"] <= ours["setting"]["tol"] == 1e-3
    assert ours["shape"] == [200, 500, 100]
    assert ours["W"] >= 100 * 500 * 4
    assert ours["peak"] >= ours["before"] > 0
    losses = [found[name]["train"]["scores"]["log_loss"][0] for name in ("softreg", "popularity")]
    assert losses[0] < losses[1]
    assert "\n".join(results_table.section("drawn-0.001", found)) in done.stdout
    assert "200 x 500, 100 classes" in done.stdout


def test_an_unknown_problem_is_named(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "many_classes.py"), "iris"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "There is no problem 'iris'" in done.stderr
