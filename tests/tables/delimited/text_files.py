"""Random small tables as text files of every layout, each with the options that say what it is."""

from __future__ import annotations

import csv
import io
import random
from dataclasses import dataclass, field

WORDS = ["red", "green", "blue", "Málaga", "Orléans", "naïve", "x y", "don't"]
TEXTS = ["one, two", "a;b", "c|d", "tab\there", 'say "no"', "# hash", "two\nlines", " padded ", "1,5", "=1+1", "a  b"]
TITLES = ["Report", "Sales of May 2020", "Produced by the survey", "% share", "# comment, with a comma"]
NOTES = ["Source: own survey", "Total", "(12 rows affected)", "Note: figures, as of May, are preliminary", "---------"]
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252", "mac-roman"]


@dataclass
class Made:
    """A file: its bytes and ending, the names and rows that it stands for, and how it was made."""

    raw: bytes
    ending: str
    names: list[str]
    rows: list[list[str]]
    how: dict[str, object] = field(default_factory=dict)


def values_of(draw: random.Random, decimal: str) -> tuple[list[str], list[list[str]]]:
    """The names and rows of a table of numbers, levels, texts and a label."""
    names = ["size", "colour", "text", "count", "label"]
    rows = []
    for i in range(draw.choice([2, 3, 8, 30])):
        number = f"{draw.gauss(0, 5):.2f}".replace(".", decimal)
        text = draw.choice(TEXTS) if draw.random() < 0.5 else f"item {i}"
        row = [number, draw.choice(WORDS[:3] if draw.random() < 0.5 else WORDS), text, str(i * 7 % 5), "ny"[i % 2]]
        rows.append(["" if draw.random() < 0.05 else cell for cell in row])
    if draw.random() < 0.3:
        names, rows = names[:2] + names[3:], [row[:2] + row[3:] for row in rows]
    return names, rows


def table_file(seed: int) -> Made:
    """The file of a seed."""
    draw = random.Random(seed)
    delimiter = draw.choice([",", ",", ";", "\t", "|", " "])
    names, rows = values_of(draw, draw.choice([".", "."] if delimiter == "," else [".", ","]))
    how: dict[str, object] = {"delimiter": delimiter}
    header = list(names)
    index = draw.choice(["", "", "", "pandas", "r", "short"])
    if index:
        rows = [[str(i + (index != "pandas")), *row] for i, row in enumerate(rows)]
        names, header = ["Unnamed: 0", *names], header if index == "short" else ["", *header]
    how |= {"index": index, "header": draw.random() < 0.85}
    quoting = draw.choice([csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])
    if delimiter == " ":
        rows = [[cell.replace("\n", " ").replace("\t", " ") or "NA" for cell in row] for row in rows]
    end = draw.choice(["\n", "\n", "\r\n", "\r"])
    if end != "\n" and quoting != csv.QUOTE_ALL:  # the csv module does not quote other ends of lines
        rows = [[cell.replace("\n", " ") for cell in row] for row in rows]
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator=end)
    if how["header"]:
        writer.writerow(header)
    writer.writerows(rows)
    body = text.getvalue()
    if draw.random() < 0.15:
        how["trailing"] = True
        body = body.replace(end, delimiter + end) if "two\nlines" not in body else body
    if draw.random() < 0.1:
        body = body.removesuffix(end)
    if draw.random() < 0.25:
        titles = TITLES if delimiter != " " else TITLES[:1]  # a title of four words is a row of four fields
        how["titles"] = draw.sample(titles, min(len(titles), draw.choice([1, 1, 2])))
        body = end.join(how["titles"]) + end + draw.choice(["", end]) + body  # type: ignore[arg-type]
    if draw.random() < 0.2:
        how["notes"] = draw.sample(NOTES, draw.choice([1, 1, 2]))
        body = body.removesuffix(end) + end + draw.choice(["", end]) + end.join(how["notes"]) + end  # type: ignore[arg-type]
    how["encoding"] = draw.choice(ENCODINGS) if draw.random() < 0.5 else "utf-8"
    ending = draw.choice([".csv", ".csv", ".txt", ".dat", ".tsv" if delimiter == "\t" else ".csv"])
    return Made(body.encode(str(how["encoding"])), ending, names, rows, how)
