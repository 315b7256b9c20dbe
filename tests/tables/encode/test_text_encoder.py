"""Free text: terms, weights by hand and against scikit-learn, bounded memory, and any script."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from softreg.tables import Encoder, Kind, TableClassifier, infer_schema
from softreg.tables.encode.text import vocabulary
from softreg.tables.encode.text.text_encoder import TextEncoder
from softreg.tables.encode.text.tokenizer import (
    bigrams,
    character_ngram_hashes,
    character_ngrams,
    code_points,
    tokenize_words,
)
from softreg.tables.encode.text.vocabulary import DocumentFrequencies, VocabularyCounter, join_bigrams, text_blocks

TEXTS = [
    "The cat sat on the mat.", "The dog sat on the cat!", "A dog -- a cat;\na mat", "", "Dogs and cats",
    "the THE thE dog", "the cat sat again", "on the mat the dog sat",
]  # fmt: skip


def spelled(terms) -> list[str]:
    return ["".join(map(chr, terms.points[a:b])) for a, b in zip(terms.start, terms.stop, strict=True)]


def column(texts: list[str | None]) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(texts, pa.large_string())])


def learned(texts: list[str | None]) -> TextEncoder:
    counter = VocabularyCounter()
    counter.add(column(texts))
    return TextEncoder.from_counts("t", counter)


def test_words_and_pairs_are_those_of_scikit_learn() -> None:
    for texts in (TEXTS, [text.upper() for text in TEXTS]):
        single = tokenize_words(code_points(pa.array(texts)))
        one, two = (TfidfVectorizer(token_pattern=r"\w+", ngram_range=(n, n)).build_analyzer() for n in (1, 2))
        assert spelled(single) == [word for text in texts for word in one(text)]
        assert join_bigrams(spelled(bigrams(single))) == [pair for text in texts for pair in two(text)]


def test_tf_idf_is_that_of_scikit_learn() -> None:
    texts = [f"{a} {b} {a} w{i % 7}" for i, (a, b) in enumerate(zip("abcde" * 8, "vwxyz" * 8, strict=True))]
    code = TextEncoder("t", len(texts), {"word": tuple("abcdevwxyz")}, {"word": (8,) * 10})
    vectorizer = TfidfVectorizer(token_pattern=r"\w+", sublinear_tf=True, vocabulary=list("abcdevwxyz"))
    np.testing.assert_allclose(
        code.block(column(texts)).toarray(), vectorizer.fit_transform(texts).toarray(), rtol=1e-12
    )


def test_runs_of_characters_stay_within_their_text() -> None:
    terms = character_ngrams(code_points(pa.array(["ab", "", "  c \n d "])))
    by_row = [[s for s, r in zip(spelled(terms), terms.row, strict=True) if r == row] for row in range(3)]
    assert by_row[0] == [" a", "ab", "b ", " ab", "ab ", " ab "]
    assert by_row[1] == ["  "]
    assert by_row[2][:4] == [" c", "c ", " d", "d "]
    assert len({len(s) for s in by_row[2]}) == 4
    assert (character_ngram_hashes(spelled(terms)) == terms.hash).all()


def test_a_term_needs_two_texts_and_a_pair_three() -> None:
    code = learned(["so good", "so good", "so good", "so bad", "bad luck"])
    assert code.terms["word"] == ("bad", "good", "so")
    assert code.terms["pair"] == ("so good",)
    assert code.counts["word"] == (2, 3, 4)
    assert "t: so good" in code.features
    assert "t: 'goo'" in code.features
    assert code.width == len(code.features) == len(set(code.features))


def test_rows_have_length_one_in_words_and_in_runs_and_zero_without_terms() -> None:
    code = learned(TEXTS)
    X = code.block(column([*TEXTS, "?", None, "zzzz qqqq"])).toarray()
    own = len(code.terms["word"]) + len(code.terms["pair"])
    lengths = np.linalg.norm(X[:, :own], axis=1), np.linalg.norm(X[:, own:], axis=1)
    assert set(lengths[0].round(12)) <= {0.0, 1.0}
    assert lengths[0][0] == pytest.approx(1)
    assert X[len(TEXTS) :].sum(axis=1)[1] == 0


def test_scripts_signs_and_odd_characters() -> None:
    texts = ["Ünïcode नमस्ते мир", "中文字", "a\0b", "😀😀 ok", "ǅ ﬁ İx", "x\ud7ff\ue000"]
    single = tokenize_words(code_points(pa.array(texts)))
    by_row = [[s for s, r in zip(spelled(single), single.row, strict=True) if r == row] for row in range(len(texts))]
    assert by_row[0] == ["ünïcode", "नमस्ते", "мир"]
    assert by_row[1] == ["中", "文", "字"]
    assert by_row[2] == ["a", "b"]
    assert by_row[3] == ["😀", "😀", "ok"]
    code = learned([text for text in texts for _ in range(3)])
    again = TextEncoder.from_state(json.loads(json.dumps(code.to_state())))
    assert again == code
    np.testing.assert_array_equal(again.block(column(texts)).toarray(), code.block(column(texts)).toarray())
    assert (np.linalg.norm(code.block(column(texts)).toarray(), axis=1) > 0).all()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(max_size=20) | st.none(), min_size=1, max_size=12), st.integers(1, 11))
def test_the_cut_into_pieces_changes_nothing(texts: list[str | None], cut: int) -> None:
    texts = [None if t is None else t.encode("utf-8", "replace").decode() for t in texts] * 3
    code = learned(texts)
    whole = code.block(column(texts)).toarray()
    parts = [code.block(column(texts[i : i + cut])).toarray() for i in range(0, len(texts), cut)]
    np.testing.assert_array_equal(np.vstack(parts), whole)


def test_pieces_hold_every_text_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabulary, "PIECE", 7)
    texts = ["abc", None, "defghijkl", "", "m", "no"] * 3
    blocks = list(text_blocks(pa.chunked_array([texts[:5], [], texts[5:]])))
    assert [t for piece in blocks for t in piece.to_pylist()] == texts
    assert len(blocks) == 5
    small = learned(TEXTS)
    monkeypatch.setattr(vocabulary, "PIECE", 10**9)
    assert learned(TEXTS) == small


def test_memory_is_bounded_and_frequent_terms_survive() -> None:
    counter = DocumentFrequencies(max_terms=100)
    rng = np.random.default_rng(0)
    for _ in range(50):
        hashed = np.unique(np.append(rng.integers(1000, 2**60, 60), np.arange(10))).astype(np.uint64)
        ones = np.ones(len(hashed), np.int64)
        counter.add((hashed, ones, ones, np.full(len(hashed), 97, np.uint32)))
        counter.merge()
        assert len(counter.hash) <= 100
    assert set(range(10)) <= set(counter.hash.tolist())
    assert sorted(counter.count)[-10:] == [50] * 10


def test_much_text_has_no_runs_of_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(learned(TEXTS).terms) == {"word", "pair", "run"}
    monkeypatch.setattr(vocabulary, "RUN_BUDGET", 50)
    assert set(learned(TEXTS).terms) == {"word", "pair"}


def test_a_table_with_text_is_learned_and_saved(tmp_path) -> None:
    rng = np.random.default_rng(0)
    good, bad = ["fine", "great", "lovely", "superb"], ["awful", "dull", "poor", "weak"]
    y = rng.integers(0, 2, 300)
    texts = [
        f"the film {i % 9} was {rng.choice(good if k else bad)} and {rng.choice(good if k else bad)}"
        for i, k in enumerate(y)
    ]
    table = pa.table({"text": texts, "stars": rng.normal(size=300), "y": np.where(y, "up", "down")})
    model = TableClassifier("y", strength=1e-3).fit(table)
    assert [kind for _, kind, _ in model.describe()] == ["text", "number", "target"]
    assert "pairs of words" in model.describe()[0][2]
    assert model.encoder_.sparse
    assert model.predict(pa.table({"text": ["superb", "dull, poor", None], "stars": [0, 0, 0]})).tolist()[:2] == [
        "up",
        "down",
    ]
    model.save(tmp_path / "m")
    import softreg

    again = softreg.load(tmp_path / "m")
    np.testing.assert_array_equal(again.predict_proba(table), model.predict_proba(table))


def test_a_column_asked_to_be_text_is_text() -> None:
    table = pa.table({"w": ["red wine", "white wine", "red wine", "beer"] * 9, "y": ["a", "b", "a", "c"] * 9})
    encoder = Encoder.fit(infer_schema(table, "y", kinds={"w": Kind.TEXT}), table)
    assert "w: red wine" in encoder.feature_names_out
    assert not encoder.sparse
    assert encoder.encode(table).shape == (36, len(encoder.feature_names_out))
