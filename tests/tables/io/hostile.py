"""Hostile files: generators with fixed seeds, and a process that gives each file to the commands.

Run as a script (`python hostile.py KIND FIRST STOP FOLDER`), it prints a line of JSON before and after each file.
"""

from __future__ import annotations

import gzip
import io
import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ODD_CELLS = [
    "", " ", "NA", "nan", "NaN", "inf", "-inf", "1e999", "-0", "-0.0", "0x10", "1_000", "1,5", "1.5.2", "٣", "½", "1e5",
    "0000-00-00", "2020-02-30", "24:00", "45:30", "9999-12-31", "10000-01-01", "true", "False", "é", "😀", "a\u0300",
    "\u202e", "\ufeff", "\x1f", "\x7f", '"', '""', '"a', 'a"b', "=1+1", "x" * 3000, "9" * 30, "9" * 400, "-", "+", ".",
    "12-34-5678", "007", "null", "\\N", "\ufffe", "\U0010fffe",
]  # fmt: skip
ODD_BYTES = [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\x80", b"\x00", b"\r", b"\n", b'"', b"\xe9",
             b"\xef\xbb\xbf", b"\x1a", b",", b"\t", b";", b"\x85", b"\xf0\x9f\x98"]  # fmt: skip
ODD_HEADERS = [["a", "a", "b", "y"], ["a", "", "c", "y"], ["a", '"b\nc"', "c", "y"], ["a, b", "b", "c", "y"], ["y"],
               ["é", "b", "c", "y"], ["a", "b", "c", "y", "z"], ["prediction", "b", "row", "y"]]  # fmt: skip
ODD_LINES = ["", " ", "null", "[]", "{}", "1", '"a"', '{"a":-0}{"a":NaN}', "}", "{", '{"a":1,"a":2}', '{"y":"n"}']
ENCODINGS = ["utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-7", "latin-1", "windows-1252", "utf-8-sig", "utf-32",
             "shift_jis", "ascii", "cp037", "hz", "iso2022_jp", "gb18030", "idna", "punycode"]  # fmt: skip
ASKED = [*ENCODINGS, "hex", "rot13", "undefined", "unicode_escape", "no-such", "mbcs", "zlib", ""]


def rows_of(draw: random.Random, odd: float) -> list[list[str]]:
    """Rows of a number, a category, a text and a label; a share of the cells is odd."""
    rows = []
    for i in range(draw.choice([0, 3, 30, 60, 60, 60])):
        row = [f"{draw.gauss(0, 1):.3f}", draw.choice(["red", "blue", "green"]), f"some words {i % 7}", "ny"[i % 2]]
        rows.append([draw.choice(ODD_CELLS) if draw.random() < odd else cell for cell in row])
    return rows


def damaged(draw: random.Random, raw: bytes) -> bytes:
    """Bytes that were cut, turned over, put in, taken out or written twice."""
    raw = bytearray(raw)
    for _ in range(draw.choice([0, 1, 1, 2, 5])):
        at = draw.randrange(len(raw) + 1)
        how = draw.randrange(7)
        if how == 0:
            del raw[at:]
        elif how == 1 and raw:
            raw[min(at, len(raw) - 1)] ^= 1 << draw.randrange(8)
        elif how == 2:
            raw[at:at] = draw.choice(ODD_BYTES)
        elif how == 3:
            del raw[at : at + draw.choice([1, 2, 10, 100])]
        elif how == 4:
            raw[at:at] = raw[at : at + draw.choice([5, 50])]
        elif how == 5:
            raw[at : at + 4] = draw.randbytes(4)
        else:
            raw[at : at + 8] = draw.choice([b"\xff" * 8, bytes(8), b"\x7f" + b"\xff" * 7])
    return bytes(raw)


def csv_file(draw: random.Random) -> tuple[str, bytes, list[str]]:
    """A CSV or TSV file: its ending, its bytes and the options it is read with."""
    delimiter = draw.choice([",", ",", "\t", ";", "|"])
    header = ["a", "b", "c", "y"]
    if draw.random() < 0.5:
        header = draw.choice(ODD_HEADERS)
    rows = rows_of(draw, draw.choice([0, 0, 0.02, 0.3]))
    for row in rows:
        if draw.random() < 0.02:
            row.append("more") if draw.random() < 0.5 else row.pop()
        for i, cell in enumerate(row):
            if draw.random() < 0.05:
                row[i] = '"' + cell + draw.choice(["", "\n", ",", '""', ";"]) + draw.choice(['"', '"', '"', ""])
    end = draw.choice(["\n", "\n", "\r\n", "\r"])
    lines = [delimiter.join(header), *map(delimiter.join, rows)]
    if draw.random() < 0.1:
        lines.insert(0, draw.choice(["sep=;", '"sep=,"', "sep=\t", "", "# a comment", "sep="]))
    text = end.join(lines) + draw.choice(["", end, end + end])
    encoding = draw.choice(ENCODINGS) if draw.random() < 0.3 else "utf-8"
    try:
        raw = text.encode(encoding, "ignore")
    except UnicodeError:
        raw = text.encode()
    raw = damaged(draw, raw) if draw.random() < 0.5 else raw
    options = ["--encoding", draw.choice([encoding, encoding, draw.choice(ASKED)])] if draw.random() < 0.3 else []
    ending = draw.choice([".csv", ".csv", ".csv", ".tsv", ".txt"])
    return *packed(draw, ending, raw), options


def packed(draw: random.Random, ending: str, raw: bytes) -> tuple[str, bytes]:
    """The file, some of them compressed, and some of these damaged again."""
    if draw.random() < 0.9:
        return ending, raw
    raw = gzip.compress(raw)
    return f"{ending}.gz", damaged(draw, raw) if draw.random() < 0.5 else raw


def json_value(draw: random.Random, depth: int = 0) -> str:
    """A value of JSON, or nearly one."""
    if depth < 3 and draw.random() < 0.15:
        inner = [json_value(draw, depth + 1) for _ in range(draw.randrange(4))]
        pairs = [f'"k{i}": {value}' for i, value in enumerate(inner)]
        return f"[{', '.join(inner)}]" if draw.random() < 0.6 else f"{{{', '.join(pairs)}}}"
    pick = draw.random()
    if pick < 0.4:
        return json.dumps(draw.choice(ODD_CELLS), ensure_ascii=draw.random() < 0.5)
    return draw.choice([
        "1", "-0", "-0.0", "1.5", "NaN", "Infinity", "-Infinity", "1e999", "01", ".5", "1.", "true", "false", "null",
        "tru", "9007199254740993", "18446744073709551615", "18446744073709551616", "-9223372036854775809", "9" * 38,
        "9" * 39, "9" * 5000, '"\\u0000"', '"\\ud800"', '"\\udc00\\ud800"', '"\\x"', '"\x01"', '"', "", "'a'", "{", "}",
        "[", "]",
        "[" * 500, "[" * 40 + "]" * 40, '{"a":' * 300, '"\\u00e9"', "1e5", "-", "//",
        '{"a":1,"a":2}', '[1,"a"]', "[null]",
    ])  # fmt: skip


def json_file(draw: random.Random) -> tuple[str, bytes, list[str]]:
    """A file of JSON lines: its ending, its bytes and the options it is read with."""
    lines = []
    odd = draw.choice([0, 0, 0.01, 0.1])
    for a, b, c, y in rows_of(draw, 0):
        cells = {"a": a, "b": json.dumps(b), "c": json.dumps(c), "y": json.dumps(y)}
        for name in cells:
            if draw.random() < odd:
                cells[name] = json_value(draw)
        pairs = [f'"{name}": {value}' for name, value in cells.items() if draw.random() > 0.02]
        if draw.random() < odd:
            name = draw.choice(["", "a", "y", "new", "\\ud800", "é"])
            pairs.append(f'"{name}": {json_value(draw)}')
        lines.append("{" + ", ".join(pairs) + "}")
        if draw.random() < odd:
            lines.append(draw.choice([*ODD_LINES, json_value(draw)]))
    text = draw.choice(["\n", "\n", "\n", "\r\n", "", ","]).join(lines) + draw.choice(["", "\n"])
    if draw.random() < 0.1:
        text = f"[{text}]"
    encoding = draw.choice(ENCODINGS[:12]) if draw.random() < 0.15 else "utf-8"
    raw = text.encode(encoding, "ignore")
    raw = damaged(draw, raw) if draw.random() < 0.5 else raw
    options = ["--encoding", draw.choice([encoding, draw.choice(ASKED)])] if draw.random() < 0.15 else []
    return *packed(draw, draw.choice([".jsonl", ".ndjson", ".json"]), raw), options


def typed_table(draw: random.Random) -> Any:
    """A table of the four columns in one of several types, and some columns more."""
    import pyarrow as pa

    n = draw.choice([1, 12, 30, 60])
    rows = (rows_of(draw, 0) or [["0.5", "red", "some words", "n"]]) * n
    a = [float(row[0]) if draw.random() > 0.05 else None for row in rows[:n]]
    b = pa.array([row[1] for row in rows[:n]])
    table = pa.table({
        "a": pa.array(a, draw.choice([pa.float64(), pa.float64(), pa.float32()])),
        "b": draw.choice([b, b.dictionary_encode(), b.cast(pa.large_string())]),
        "c": pa.array([row[2] for row in rows[:n]]),
        "y": pa.array(["ny"[i % 2] for i in range(n)]),
    })  # fmt: skip
    more = {
        "i": pa.array(range(n), pa.int32()), "o": pa.array([i % 3 == 0 for i in range(n)]),
        "t": pa.array([i * 86_400_000_000 for i in range(n)], pa.timestamp("us")), "d": pa.array(range(n), pa.date32()),
        "w": pa.array([["u", "v"][: i % 3] for i in range(n)]), "v": pa.array([[0.5, i / 7] for i in range(n)]),
    }  # fmt: skip
    for name in draw.sample(sorted(more), draw.randrange(4)):
        table = table.append_column(name, more[name])
    return table


def binary_file(draw: random.Random) -> tuple[str, bytes, list[str]]:
    """A Parquet or Arrow file, mostly damaged: its ending, its bytes and no options."""
    import pyarrow as pa
    import pyarrow.feather as feather
    import pyarrow.parquet as pq

    table, sink = typed_table(draw), io.BytesIO()
    form = draw.choice(["parquet", "parquet", "arrow", "arrows"])
    if form == "parquet":
        pq.write_table(
            table,
            sink,
            row_group_size=20,
            compression=draw.choice(["snappy", "none", "zstd"]),
            use_dictionary=draw.random() < 0.5,
            write_page_checksum=draw.random() < 0.3,
            data_page_version=draw.choice(["1.0", "2.0"]),
        )
    elif form == "arrow":
        feather.write_feather(table, sink, compression=draw.choice(["uncompressed", "lz4", "zstd"]), chunksize=20)
    else:
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table, 20)
    raw = bytes(sink.getvalue())
    if draw.random() < 0.95:
        raw = damaged(draw, raw)
    return *packed(draw, f".{form}", raw), []


GENERATORS: dict[str, Callable[[random.Random], tuple[str, bytes, list[str]]]] = {
    "csv": csv_file,
    "json": json_file,
    "binary": binary_file,
}


def hostile_file(kind: str, seed: int, folder: Path) -> tuple[Path, list[str]]:
    """Write the file of a seed; gives its path and the options of the commands."""
    ending, raw, options = GENERATORS[kind](random.Random(f"{kind} {seed}"))
    path = folder / f"{kind}{ending}"
    path.write_bytes(raw)
    return path, options


def work(kind: str, first: int, stop: int, folder: Path) -> None:
    """Give the files of some seeds to the commands; says on stdout which file is begun and how it ended."""
    from click.testing import CliRunner

    import softreg.probability.calibration as calibration
    from softreg.cli import main

    if hasattr(calibration, "draws_for"):  # what a model is worth is not looked at here: few draws are enough
        calibration.draws_for = lambda n, draws: 9
    said: list[str] = []
    sys.unraisablehook = lambda found: said.append(f"ignored: {found.exc_value!r}")
    threading.excepthook = lambda found: said.append(f"in a thread: {found.exc_value!r}")
    good = folder / "good.csv"
    rows = [f"{i % 9 / 3},{['red', 'blue', 'green'][i % 3]},some words {i % 5},{'ny'[i % 2]}" for i in range(40)]
    good.write_text("a,b,c,y\n" + "\n".join(rows) + "\n", "utf-8")
    model, runner = folder / "good.softreg", CliRunner()
    runner.invoke(main, ["train", str(good), "--target", "y", "--model", str(model), "--strength", "0.1", "--quiet"])
    for seed in range(first, stop):
        path, options = hostile_file(kind, seed, folder)
        skip = ["--bad-rows", "skip"] if seed % 2 else []
        output = folder / ("o.csv" if seed % 4 else "o.parquet")
        orders = [
            ["predict", str(model), str(path), "-o", str(output), *options, *skip],
            ["train", str(path), "--target", "y", "--strength", "0.1", "--quiet", *options, *skip],
            ["evaluate", str(model), str(path), *options],
        ]  # fmt: skip
        if not skip and seed % 3 == 0:
            orders[1] += ["--memory", "low"]
        print(json.dumps({"begun": seed}), flush=True)
        codes, start = [], time.perf_counter()
        for order in orders:
            done = runner.invoke(main, order)
            codes.append(done.exit_code)
            error = done.exception
            if (error is not None and not isinstance(error, SystemExit)) or done.exit_code not in (0, 2):
                said.append(f"{order[0]} ended with {done.exit_code}: {error!r}"[:600])
            elif "Traceback" in done.stderr or "Exception ignored" in done.stderr:
                said.append(f"{order[0]} said: {done.stderr[-300:]}")
            elif done.exit_code == 2 and len(done.stderr.strip().splitlines()[-1]) < 20:
                said.append(f"{order[0]} gave no sentence: {done.stderr[-300:]}")
        seconds = round(time.perf_counter() - start, 2)
        print(json.dumps({"ended": seed, "codes": codes, "said": said, "seconds": seconds}), flush=True)
        said.clear()


def drive(kind: str, first: int, stop: int, folder: Path, limit: float = 30, log: Any = None) -> tuple[int, list[str]]:
    """Let processes work on the files of some seeds; gives how many were clean, and what the others did.

    A process that dies or works for more than `limit` seconds on a file is ended, and another goes on behind that file.
    """
    failures: list[str] = []
    clean = 0
    while first < stop:
        command = [sys.executable, __file__, kind, str(first), str(stop), str(folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            begun, watch = first, threading.Timer(limit + 60, process.kill)
            watch.start()
            for line in process.stdout:
                watch.cancel()
                told = json.loads(line)
                if "begun" in told:
                    begun = told["begun"]
                elif told["said"]:
                    failures.append(f"{kind} {told['ended']}: {told['said']}")
                else:
                    clean += 1
                first = begun + ("ended" in told)
                if log is not None and (told.get("said") or first % 500 == 0):
                    print(first, clean, told, file=log, flush=True)
                watch = threading.Timer(limit, process.kill)
                watch.start()
            watch.cancel()
            process.wait()
            if first < stop:
                assert process.stderr is not None
                failures.append(
                    f"{kind} {begun}: the process ended with {process.returncode}: {process.stderr.read()[-500:]}"
                )
                first = begun + 1
    return clean, failures


if __name__ == "__main__":
    if sys.argv[1] == "drive":
        print(drive(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), Path(sys.argv[5]), log=sys.stdout))
    else:
        work(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
