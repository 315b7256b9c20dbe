"""Faults of delimited text files: row F13 of the list, each file read as it is meant or refused."""

from __future__ import annotations

import gzip
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from softreg.tables import TableClassifier, TableError, TableNote, open_table, read_table

from .helpers import run


def written(folder: Path, text: str | bytes, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def read(path: Path, **options: Any) -> tuple[dict[str, list[str]], str]:
    """The columns of a file, and the notes on how it was read."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        table = read_table(path, **options)
    return table.to_pydict(), " ".join(str(warning.message) for warning in caught)


def refusal(path: Path, **options: Any) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TableNote)
        with pytest.raises(TableError) as caught:
            read_table(path, **options)
    return str(caught.value)


AB = {"a": ["1", "3"], "b": ["2", "4"], "y": ["n", "m"]}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("name", ["t.csv", "t.txt", "t.dat", "t.data.gz"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "  "])
def test_fault_f13_delimiters(tmp_path: Path, delimiter: str, name: str, end: str) -> None:
    raw = end.join(delimiter.join(row) for row in (["a", "b", "y"], ["1", "2", "n"], ["3", "4", "m"])).encode()
    path = written(tmp_path, gzip.compress(raw) if name.endswith("gz") else raw, name)
    found, notes = read(path)
    assert found == AB
    assert ("Runs of blanks" in notes) == (delimiter == "  ")
    word = {"\t": "tab", "  ": "space"}.get(delimiter, delimiter)
    assert read(path, delimiter=word) == (AB, "")


def test_fault_f13_delimiters_that_are_named(tmp_path: Path) -> None:
    path = written(tmp_path, "a:b\n1:2\n")
    assert read(path, delimiter=":")[0] == {"a": ["1"], "b": ["2"]}
    for bad in ("ab", '"', "x", "", "§", "\n"):
        assert "is not one character that can separate fields" in refusal(path, delimiter=bad)


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("a;b;y\n1,5;2,5;n\n3,5;4,5;m\n", {"a": ["1,5", "3,5"], "b": ["2,5", "4,5"], "y": ["n", "m"]}),
        ("a|b\n1,5|x, y\n2,5|z, w\n", {"a": ["1,5", "2,5"], "b": ["x, y", "z, w"]}),
        ('id,t\n1,"a;b;c"\n2,"d;e;f"\n', {"id": ["1", "2"], "t": ["a;b;c", "d;e;f"]}),
        ('a, b\n1, "x, y"\n2, "z, w"\n', {"a": ["1", "2"], "b": ["x, y", "z, w"]}),
        ("  x   y c\n 1.5 2.5 p\n10.5 3   q\n", {"x": ["1.5", "10.5"], "y": ["2.5", "3"], "c": ["p", "q"]}),
        ('x y\n1,5 "a b"\n2,5 "c  d"\n', {"x": ["1,5", "2,5"], "y": ["a b", "c  d"]}),
        ("full name\nJohn Smith\nAnn Lee\n", {"full name": ["John Smith", "Ann Lee"]}),
        ("text\nhello, world\nno comma\n", {"text": []}),
    ],
)
def test_fault_f13_delimiters_among_other_characters(tmp_path: Path, text: str, columns: dict[str, Any]) -> None:
    path = written(tmp_path, text)
    if columns == {"text": []}:
        assert "too many fields" in refusal(path)
    else:
        assert read(path)[0] == columns


@pytest.mark.parametrize(
    ("ahead", "quoted"),
    [
        ("# made by hand\n#\n", "'# made by hand'"),
        ("% share, of all\n", "'% share, of all'"),
        ("Report of May\n\n", "'Report of May'"),
        ("Report\nVersion 2\n", "'Report', 'Version 2'"),
        ("Report,,\n,,\n", "'Report'"),
        ("# a comment\nReport\n", "'# a comment', 'Report'"),
    ],
)
def test_fault_f13_lines_ahead_of_the_header(tmp_path: Path, ahead: str, quoted: str) -> None:
    path = written(tmp_path, ahead + "a,b,y\n1,2,n\n3,4,m\n")
    found, notes = read(path)
    assert found == AB
    assert "before the header" in notes
    assert quoted in notes
    count = ahead.count("\n")
    assert read(path, skip_rows=count) == (AB, "")
    if "," not in ahead:
        assert "too many fields" in refusal(path, skip_rows=0)


def test_fault_f13_comments_between_the_rows(tmp_path: Path) -> None:
    path = written(tmp_path, '# one\na,b\n"#1",2\n# two, three\n3,"x\n# no comment"\n#\n')
    assert read(path)[0] == {"a": ["#1", "3"], "b": ["2", "x\n# no comment"]}
    told = refusal(written(tmp_path, "# one\ncolour,b\n#ff0000,2\n"))
    assert "Line 3 of" in told
    assert "'#ff0000,2'" in told
    assert read(written(tmp_path, "colour,b\n#ff0000,2\n"))[0] == {"colour": ["#ff0000"], "b": ["2"]}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("#,Name,Type\n1,Bulb,Grass\n2,Ivy,Grass\n4,Char,Fire\n", ["#", "Name", "Type"]),
        ("##x=1\n#chrom\tpos\tref\n1\t100\tA\n2\t200\tC\n", ["chrom", "pos", "ref"]),
        ("# x y c\n1.5 2 n\n2.5 3 m\n", ["x", "y", "c"]),
    ],
)
def test_fault_f13_names_in_a_comment(tmp_path: Path, text: str, names: list[str]) -> None:
    found, notes = read(written(tmp_path, text))
    assert list(found) == names
    assert "The columns are named by the line" in notes


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
@pytest.mark.parametrize(
    ("behind", "quoted"),
    [
        ("Source: own survey\n", "'Source: own survey'"),
        ("\nTotal\n\n", "'Total'"),
        ("\nSource: a survey, of May\n(2 rows)\n", "'Source: a survey, of May', '(2 rows)'"),
        ("-----\nNotes:\n", "'-----', 'Notes:'"),
        ("   \n", ""),
    ],
)
def test_fault_f13_lines_behind_the_table(tmp_path: Path, behind: str, quoted: str, name: str) -> None:
    text = "a,b,y\n1,2,n\n3,4,m\n" + behind
    found, notes = read(written(tmp_path, gzip.compress(text.encode()) if name.endswith("gz") else text, name))
    assert found == AB
    assert quoted in notes
    assert ("at the end" in notes) == bool(quoted)


@pytest.mark.parametrize("cut", ["5", "red", "-", "Source: x\n5,6,n\n", "5,6\n"])
def test_fault_f13_a_row_that_is_cut_off_is_no_footnote(tmp_path: Path, cut: str) -> None:
    told = refusal(written(tmp_path, "a,b,y\n1,2,n\n3,4,m\n" + cut))
    assert "too few fields" in told
    assert "--bad-rows skip" in told


def test_fault_f13_footnotes_of_a_file_larger_than_its_head(tmp_path: Path) -> None:
    rows = "".join(f"{i},word,{'nm'[i % 2]}\n" for i in range(300_000))
    path = written(tmp_path, "a,b,y\n" + rows + "\nSource: own survey\n")
    table = open_table(path)
    assert "'Source: own survey'" in table.notes[0]
    assert sum(batch.num_rows for batch in table.batches()) == 300_000
    packed = written(tmp_path, gzip.compress(path.read_bytes(), 1), "t.csv.gz")
    with pytest.warns(TableNote, match="Source: own survey"):
        assert read_table(packed).num_rows == 300_000


IRIS = "5.1,3.5,setosa\n4.9,3.0,setosa\n7.0,3.2,virginica\n6.1,3.1,virginica\n"


@pytest.mark.parametrize(
    "text",
    [
        IRIS,
        "red,1\nblue,2\nred,3\n",
        "ham,some words\nspam,others here\nham,and these\n",
        "5,0,0,12\n0,0,0,12\n",
        "39, State-gov, 77516, <=50K\n50, Private, 83311, <=50K\n38, Private, 215646, >50K\n",
        "?,b,1.5\nx,b,2.5\ny,c,0.5\n",
        "1 2 a\n3 4 b\n5 6 a\n",
        "Title\n\n5.1,3.5,setosa\n4.9,3.0,setosa\n",
    ],
)
def test_fault_f13_a_first_row_of_data_is_not_lost(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, text)
    told = refusal(path)
    assert "reads like data" in told
    assert "--no-header" in told
    assert "--header" in told
    table = read_table(path, header=False)
    width = table.num_columns
    assert f"column_1 to column_{width}" in told
    assert table.column_names == [f"column_{place}" for place in range(1, width + 1)]
    assert table.num_rows == text.strip().count("\n") + 1 - (2 if "Title" in text else 0)
    assert read_table(path, header=True).num_rows == table.num_rows - 1


@pytest.mark.parametrize(
    "text",
    [
        "country,2000,2001,2002\nPeru,1.5,2.5,0.1\nChile,2.2,1.0,0.2\n",
        ",0,1,y\n0,0.5,0.1,n\n1,0.2,0.7,m\n",
        "0,1,label\n0.5,0.1,a\n0.2,0.7,b\n0.2,0.7,a\n0.5,0.1,b\n",
        "id,class,7\n1,a,0\n2,b,1\n3,b,0\n",
        "400.5,402.1,404.9,405.0,409.3,y\n0.2,0.1,0.7,0.3,0.4,a\n0.1,0.2,0.7,0.3,0.4,b\n",
    ],
)
def test_fault_f13_names_that_are_numbers_are_names(tmp_path: Path, text: str) -> None:
    found, notes = read(written(tmp_path, text))
    assert [name.replace("Unnamed: 0", "") for name in found] == text.split("\n")[0].split(",")
    assert "some of them by numbers" in notes
    assert "--no-header" in notes


def test_fault_f13_a_name_among_the_labels_is_a_name(tmp_path: Path) -> None:
    found, notes = read(written(tmp_path, "x,c,y\n1,c,n\n2,d,y\n3,d,n\n"))
    assert list(found) == ["x", "c", "y"]
    assert notes == ""


def labelled(rows: int = 90) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    x = rng.normal(size=rows)
    return pd.DataFrame({"x": x.round(3), "c": rng.choice(["p", "q"], rows), "y": np.where(x > 0, "yes", "no")})


def test_fault_f13_no_header_on_the_command_line(tmp_path: Path) -> None:
    path, model = tmp_path / "t.csv", tmp_path / "m.softreg"
    labelled().to_csv(path, index=False, header=False)
    refused = run("train", path, "--target", "y")
    assert refused.exit_code == 2
    assert "--no-header" in refused.stderr
    options = ("--no-header", "--strength", "0.1", "--quiet")
    done = run("train", path, "--target", "column_3", *options, "--model", model)
    assert done.exit_code == 0, done.stderr
    assert "Did you mean 'column_3'?" in run("train", path, "--target", "3", *options).stderr
    assert run("predict", model, path).exit_code == 2
    predicted = run("predict", model, path, "--no-header")
    assert predicted.exit_code == 0, predicted.stderr
    assert len(predicted.stdout.splitlines()) == 91


@pytest.mark.parametrize("trained", ["plain", "index", "names", "titled"])
def test_fault_f13_an_index_column_is_no_feature(tmp_path: Path, trained: str) -> None:
    frame, paths = labelled(), {}
    for kind in ("plain", "index", "names", "titled"):
        paths[kind] = tmp_path / f"{kind}.csv"
    frame.to_csv(paths["plain"], index=False)
    frame.to_csv(paths["index"])
    paths["names"].write_text("x,c,y\n" + frame.set_index(frame.index + 1).to_csv(header=False))
    frame.to_csv(paths["titled"], index_label="rownames")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = TableClassifier("y", strength=0.1).fit(paths[trained])
        found = [model.predict_proba(path) for path in paths.values()]
    assert model.encoder_.feature_names_out[0] == "x"
    for P in found[1:]:
        np.testing.assert_array_equal(P, found[0])
    assert "the first column has the names of the rows" in read(paths["names"])[1]


def test_fault_f13_names_of_columns(tmp_path: Path) -> None:
    found, notes = read(written(tmp_path, "x,x,x_2, y ,\n1,2,3,n,5\n4,5,6,m,7\n"))
    assert list(found) == ["x", "x_3", "x_2", "y", "column_5"]
    assert "'x' in column 2 is called 'x_3'" in notes
    assert "'column_5'" in notes
    assert "' y '" in notes


def test_fault_f13_rows_that_end_in_a_delimiter(tmp_path: Path) -> None:
    for header in ("a,b,y", "a,b,y,"):
        found, notes = read(written(tmp_path, header + "\n1,2,n,\n3,4,m,\n"))
        assert found == AB
        assert "Each row ends in a delimiter" in notes
    rows = "".join("1,2,n,\n" for _ in range(20_000))
    told = refusal(written(tmp_path, "a,b,y\n" + rows + "3,4,m,late\n"))
    assert "Row 20,001" in told
    assert "'late'" in told


def test_fault_f13_blanks_behind_each_delimiter(tmp_path: Path) -> None:
    path = written(tmp_path, "a, b, y\n1, 2, n\n3, 4, m\n")
    found, notes = read(path)
    assert found == AB
    assert "--delimiter" in notes
    assert read(path, delimiter=",")[0]["b"] == [" 2", " 4"]
