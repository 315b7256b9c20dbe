"""Faults of the encodings of text files: row F13 of the list, each file read as it was written or refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from softreg.cli import main
from softreg.tables import TableError, TableNote, open_table, read_table
from softreg.tables.delimited.encoding_detection import detect_encoding

TEXTS = {
    "western": ("Málaga Orléans Köln\nSão Paulo, Århus\nfaçade, naïve, 20 °C\n", ["cp1252", "latin-1"]),
    "french": ("École, élève\nFrançois, Noël\nà côté, où\n", ["cp1252", "mac_roman"]),
    "german": ("Müller, Straße\nKöln, Ärger\nGröße, Übung\n", ["cp1252", "mac_roman"]),
    "polish": ("Łódź, Kraków\nGdańsk\nżółty, część\n", ["cp1250"]),
    "czech": ("Plzeň, Ústí\nkůň, příjmení\nřeka, žlutý, České\n", ["cp1250"]),
    "hungarian": ("Győr, Szűcs\nPécs, Székesfehérvár\nőr, kő\n", ["cp1250"]),
    "turkish": ("İstanbul, Şanlıurfa\nMuğla, Çorum\nığdır\n", ["cp1254"]),
    "russian": ("Москва, Россия\nимя, фамилия\nСанкт-Петербург\n", ["cp1251", "koi8_r", "cp866"]),
    "ukrainian": ("Київ, Україна\nЛьвів, місто\n", ["cp1251"]),
    "greek": ("Αθήνα, Ελλάδα\nΘεσσαλονίκη, πόλη\n", ["cp1253"]),
    "chinese": ("北京, 上海\n姓名, 性别\n广州市, 深圳\n中国人民\n", ["gbk", "gb18030"]),
    "taiwanese": ("臺北, 高雄\n姓名, 性別\n中華民國\n", ["big5"]),
    "korean": ("서울, 부산\n대한민국, 이름\n나이, 성별\n광주\n", ["euc_kr", "cp949"]),
    "japanese": ("東京, 大阪\n名前, ひらがな\nカタカナ\n", ["cp932", "euc_jp"]),
    "symbols": ("20°C, £5\nit’s – so\n", ["cp1252"]),
}


@pytest.mark.parametrize(
    ("language", "encoding"), [(language, one) for language, (_, encodings) in TEXTS.items() for one in encodings]
)
def test_fault_f13_other_encodings(tmp_path: Path, language: str, encoding: str) -> None:
    text = TEXTS[language][0]
    raw = text.encode(encoding)
    found = detect_encoding(raw)
    assert found is not None
    assert raw.decode(found) == text
    rows = [f"{i};{cell.strip()}" for i, cell in enumerate(text.replace("\n", ",").split(",")) if cell]
    path = tmp_path / "t.csv"
    path.write_bytes("\n".join(["i;name", *rows]).encode(encoding) + b"\n")
    with pytest.warns(TableNote, match="is not UTF-8 and is decoded as .*; --encoding"):
        table = read_table(path)
    assert [f"{i};{name}" for i, name in zip(*table.to_pydict().values(), strict=True)] == rows
    assert read_table(path, encoding=encoding).equals(table)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
def test_fault_f13_wide_encodings(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes("a,b\n1,é\n2,x\n".encode(encoding))
    assert read_table(path).to_pydict() == {"a": ["1", "2"], "b": ["é", "x"]}


@pytest.mark.parametrize("skip", ["error", "skip"])
def test_fault_f13_an_encoding_that_shows_late(tmp_path: Path, skip: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,b\n" + b"1,x\n" * 100_000 + "2,Málaga\n".encode("cp1252") * 3)
    table = open_table(path, bad_rows=skip)  # type: ignore[arg-type]
    with pytest.warns(TableNote, match="decoded as windows-1252"):
        batches = list(table.batches())
    assert sum(batch.num_rows for batch in batches) == 100_003
    assert batches[-1]["b"].to_pylist()[-1] == "Málaga"
    assert table.skipped == []


@pytest.mark.parametrize(
    "raw",
    [
        b"a,b\n1,\xff\xfe\x81\n2,\x81\x8d\x90\n",  # no text
        b"a,b\n" + "1,é\n".encode() * 5 + b"2,\xe9x\n",  # UTF-8 with a wrong byte in many of few lines
        "a,b\n1,שלום\n2,ישראל\n".encode("cp1255"),  # Hebrew and Cyrillic letters explain the bytes as well
        "a,b\n1,é".encode()[:-1],  # UTF-8 that was cut off
    ],
)
def test_fault_f13_an_encoding_without_evidence_is_refused(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(raw)
    with pytest.raises(TableError, match=r"is not text in UTF-8: line .* Specify its encoding, usually --encoding"):
        read_table(path)


def test_fault_f13_a_later_byte_that_the_encoding_does_not_have(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,b\n" + "1,Málaga\n".encode("cp1252") * 18_000 + b"2,\x81\n")
    with pytest.warns(TableNote), pytest.raises(TableError, match="line 18,002 holds the byte 0x81"):
        read_table(path)


def test_fault_f13_each_file_has_its_own_encoding(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_bytes("a,b\n1,Málaga\n".encode("cp1252"))
    (tmp_path / "2.csv").write_bytes("a,b\n2,Córdoba\n".encode())
    with pytest.warns(TableNote, match="1.csv': The text is not UTF-8"):
        table = read_table(sorted(tmp_path.glob("*.csv")))
    assert table["b"].to_pylist() == ["Málaga", "Córdoba"]
    (tmp_path / "1.jsonl").write_bytes((json.dumps({"b": "Málaga"}, ensure_ascii=False) + "\n").encode("cp1252"))
    with pytest.warns(TableNote, match="decoded as windows-1252"):
        assert read_table(tmp_path / "1.jsonl")["b"].to_pylist() == ["Málaga"]


def test_fault_f13_the_encoding_is_said_on_the_command_line(tmp_path: Path) -> None:
    from click.testing import CliRunner

    path = tmp_path / "t.csv"
    rows = "".join(f"{i % 7};{'Málaga' if i % 3 else 'Köln'};{'ny'[i % 2]}\n" for i in range(80))
    path.write_bytes(("x;stadt;y\n" + rows).encode("cp1252"))
    done = CliRunner().invoke(main, ["train", str(path), "--target", "y", "--strength", "0.1"])
    assert done.exit_code == 0, done.stderr
    assert "Note: The text is not UTF-8 and is decoded as windows-1252 (it holds 'Köln')" in done.stderr
