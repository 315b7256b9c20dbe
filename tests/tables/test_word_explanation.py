"""Contributions of words: values by hand, sums to the logits, any script, and other columns."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from softreg import TableClassifier, TableError, explain_words
from softreg.tables.encode.text.text_encoder import TextEncoder
from softreg.tables.encode.text.word_contributions import divide_among_words

NOTES = pa.table(
    {
        "note": ["win a free prize now", "see you at home", "free tickets, call now", "call me at home"] * 6,
        "age": [31.0, 52.0, 28.0, 60.0, 33.0, 47.0] * 4,
        "label": ["spam", "ham", "spam", "ham"] * 6,
    }
)


@pytest.fixture(scope="module")
def model() -> TableClassifier:
    return TableClassifier("label", text="note", strength=0.01).fit(NOTES)


def test_words_and_pairs_by_hand() -> None:
    encoder = TextEncoder("t", 1, {"word": ("call", "now"), "pair": ("call now",)}, {"word": (1, 1), "pair": (1,)})
    words, parts = divide_among_words(encoder, "Call NOW or call", np.array([[4.0], [1.0], [7.0]]))
    # call: 4 at two places; the pair: 7 among the 7 letters of "call" and "now", the blank has no share
    assert words == ("Call", "NOW", "or", "call")
    np.testing.assert_allclose(parts.ravel(), [2 + 4, 1 + 3, 0, 2])


def test_character_ngrams_by_hand() -> None:
    encoder = TextEncoder(
        "t", 1, {"word": (), "pair": (), "run": ("b c", "ab")}, {"word": (), "pair": (), "run": (1, 1)}
    )
    words, parts = divide_among_words(encoder, "  ab\t\n c", np.array([[2.0, -2.0], [3.0, 0.0]]))
    assert words == ("ab", "c")
    np.testing.assert_allclose(parts, [[1 + 3, -1], [1, -1]])  # "b c": half to "ab", half to "c"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ()),
        (" \t\n ", ()),
        ("a", ("a",)),
        ("it's 5:30 -- now!", ("it's", "5:30", "--", "now!")),
        ("猫が好き call", ("猫", "が", "好", "き", "call")),
        ("ok😀free", ("ok", "😀", "free")),
        ("ST\u0130LL free", ("sti\u0307ll", "free")),  # lower case has more characters
        ("a\0b", ("a", "b")),
        ("a\xa0b", ("a", "b")),
    ],
)
def test_words_of_any_script(text: str, words: tuple[str, ...], model: TableClassifier) -> None:
    row = pa.table({"note": [text], "age": [40.0]})
    why = explain_words(model, row)[0]
    assert why.words == words
    np.testing.assert_allclose(why.logits[1] - why.logits[0], model.decision_function(row)[0], atol=1e-12)


def test_the_words_sum_to_all_that_the_text_contributes(model: TableClassifier) -> None:
    rows = NOTES.slice(0, 4)
    blank = rows.set_column(0, "note", pa.array([None] * 4, pa.string()))
    difference = model.decision_function(rows) - model.decision_function(blank)
    whys = explain_words(model, rows)
    np.testing.assert_allclose([why.log_odds("spam", "ham").sum() for why in whys], difference, atol=1e-12)
    np.testing.assert_allclose([why.rest_log_odds("spam") for why in whys], model.decision_function(blank), atol=1e-12)
    assert whys[0].log_odds("spam")[whys[0].words.index("free")] > 0 > whys[1].log_odds("spam")[-1]


def test_three_classes_offsets_and_two_texts() -> None:
    table = pa.table(
        {
            "title": ["red one", "green two", "blue one", "red three"] * 5,
            "body": ["stop here", "go on", "sky high", "stop it"] * 5,
            "base": [0.5, -0.5, 1.0, 0.0] * 5,
            "label": ["r", "g", "b", "r"] * 5,
        }
    )
    model = TableClassifier("label", text=["title", "body"], offset={"r": "base"}, strength=0.01).fit(table)
    row = table.slice(0, 1)
    for column in ("title", "body"):
        why = explain_words(model, row, column)[0]
        P = np.exp(why.logits - why.logits.max())
        np.testing.assert_allclose(P / P.sum(), model.predict_proba(row)[0], atol=1e-12)
    assert why.text().startswith("'r' rather than ")
    with pytest.raises(TableError, match="'title', 'body'; column= names one"):
        explain_words(model, row)
    with pytest.raises(TableError, match="'base' is no text of the model"):
        explain_words(model, row, "base")


def test_errors_name_the_classes(model: TableClassifier) -> None:
    why = explain_words(model, NOTES.slice(0, 1))[0]
    with pytest.raises(ValueError, match="'Spam' is no class of the model; its classes are 'ham', 'spam'"):
        why.log_odds("Spam")
    with pytest.raises(ValueError, match="'spam' is compared with itself"):
        why.log_odds("spam", "spam")
    numbers = TableClassifier("label", drop="note", strength=0.1).fit(NOTES)
    with pytest.raises(TableError, match="no column of text"):
        explain_words(numbers, NOTES)
    with pytest.raises(TableError, match="not fitted yet"):
        explain_words(TableClassifier(), NOTES)
