"""Programs in C, compiled by the C compiler of this machine and run on rows from the standard input."""

from __future__ import annotations

import math
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from softreg.export import Program
from softreg.export.c.c_names import COUNT, member_names
from softreg.export.c.header import c_header
from softreg.export.program import Input, InputKind
from softreg.value_text import to_text

from .runner import seconds

C_COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
STRICT = ("-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror")

READERS = """
#include <stdio.h>
#include <stdlib.h>

static inline void must(int done) { if (!done) { fprintf(stderr, "bad row\\n"); exit(3); } }
static inline double number(void) { double x = 0; must(scanf("%la", &x) == 1); return x; }
static inline char *text(void) { /* length, a blank and bytes; -1 is NULL */
  long n = 0;
  char *bytes;
  must(scanf("%ld", &n) == 1);
  if (n < 0) return NULL;
  bytes = (char *)malloc((size_t)n + 1);
  must(bytes != NULL && getchar() == ' ' && fread(bytes, 1, (size_t)n, stdin) == (size_t)n);
  bytes[n] = 0;
  return bytes;
}
static inline double *vector(void) {
  long n = 0, i;
  double *x;
  must(scanf("%ld", &n) == 1);
  if (n < 0) return NULL;
  x = (double *)malloc((size_t)n * sizeof *x);
  must(x != NULL);
  for (i = 0; i < n; ++i) x[i] = number();
  return x;
}
static inline const char **tags(size_t *count) {
  long n = 0, i;
  const char **x;
  must(scanf("%ld", &n) == 1);
  *count = 0;
  if (n < 0) return NULL;
  x = (const char **)malloc(((size_t)n + 1) * sizeof *x);
  must(x != NULL);
  for (i = 0; i < n; ++i) x[i] = text();
  *count = (size_t)n;
  return x;
}
"""
MAIN = """
int main(void) {{
  long rows = 0, i;
  must(scanf("%ld", &rows) == 1);
  for (i = 0; i < rows; ++i) {{
    m_row row;
    double p[M_CLASSES];
    double parts[M_PARTS ? M_PARTS : 1][M_CLASSES];
    int invalid, k, j;
    size_t t = 0;
{reads}
    invalid = m_predict(&row, p);
    must(m_logit_parts(&row, parts) == (invalid > M_INPUTS ? 0 : invalid));
    printf("%d %d", invalid, m_label(p));
    for (k = 0; k < M_CLASSES; ++k) printf(" %a", p[k]);
    for (k = 0; k < M_CLASSES; ++k) {{
      double logit = m_bias[k];
      for (j = 0; j < M_PARTS; ++j) logit += parts[j][k];
      printf(" %a", logit);
    }}
    printf("\\n");
{frees}
    (void)t;
  }}
  return 0;
}}
"""
POINTER_READERS = {InputKind.CATEGORY: "text()", InputKind.VECTOR: "vector()"}


def driver(program: Program) -> str:
    """The source of a program that reads rows, and prints for each its status, label, probabilities and logits."""
    reads, frees = [], []
    for read, member in zip(program.inputs, member_names(program.inputs), strict=True):
        call = f"tags(&row.{member}{COUNT})" if read.kind is InputKind.TAGS else POINTER_READERS.get(read.kind)
        reads.append(f"    row.{member} = {call or 'number()'};")
        if read.kind is InputKind.TAGS:
            frees.append(f"    for (t = 0; t < row.{member}{COUNT}; ++t) free((void *)row.{member}[t]);")
        if call:
            frees.append(f"    free((void *)row.{member});")
    return '#include "m.h"\n' + READERS + MAIN.format(reads="\n".join(reads), frees="\n".join(frees))


def compiled(program: Program, folder: Path, options: Sequence[str] = ("-O1", *STRICT)) -> Path:
    """The compiled driver of a program, whose header is m.h."""
    (folder / "m.h").write_text(c_header(program, "m"), "ascii")
    (folder / "main.c").write_text(driver(program), "ascii")
    target = folder / "main"
    command = [str(C_COMPILER), "-std=c99", *options, str(folder / "main.c"), "-o", str(target), "-lm"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return target


def number_text(value: float | None) -> str:
    """A number as exact hexadecimal digits."""
    return "nan" if value is None or math.isnan(value) else float(value).hex()


def text_bytes(value: str | None) -> bytes:
    """A text with its length."""
    data = b"" if value is None else value.encode()
    return b"-1 " if value is None else b"%d %b " % (len(data), data)


def boolean_number(value: Any, read: Input) -> float:
    """A boolean as the C program takes it; 2 for a word that is none."""
    word = None if value is None else str(value).strip()
    if not word or word in read.missing_words:
        return math.nan
    return 1.0 if word.lower() in read.true_words else 0.0 if word.lower() in read.false_words else 2.0


def cells(read: Input, column: pa.ChunkedArray) -> list[bytes]:
    """Values of a column as the driver reads them."""
    write: Callable[[Any], bytes]
    match read.kind:
        case InputKind.CATEGORY:
            values, write = to_text(column).to_pylist(), text_bytes
        case InputKind.TAGS:
            values = column.to_pylist()

            def write(tags: list[str | None] | None) -> bytes:
                return b"-1 " if tags is None else b"%d %b" % (len(tags), b"".join(map(text_bytes, tags)))

        case InputKind.VECTOR:
            values = column.to_pylist()

            def write(x: list[float] | None) -> bytes:
                return b"-1 " if x is None else f"{len(x)} {' '.join(map(number_text, x))} ".encode()

        case InputKind.DATE:
            values, write = seconds(column), lambda value: number_text(value).encode() + b" "
        case InputKind.BOOLEAN:
            values = [boolean_number(value, read) for value in column.to_pylist()]
            write = lambda value: number_text(value).encode() + b" "  # noqa: E731
        case _:
            values = column.cast(pa.float64()).to_pylist()
            write = lambda value: number_text(value).encode() + b" "  # noqa: E731
    return [write(value) for value in values]


def run(program: Path, rows: Sequence[bytes]) -> np.ndarray:
    """Status, label, probabilities and logits of each row."""
    given = b"%d " % len(rows) + b"".join(rows)
    done = subprocess.run([str(program)], input=given, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    lines = [line.split() for line in done.stdout.decode().splitlines()]
    return np.array([[*map(float, words[:2]), *map(float.fromhex, words[2:])] for words in lines])


def table_rows(program: Program, rows: pa.Table) -> list[bytes]:
    """Rows as the driver reads them."""
    if not program.inputs:
        return [b""] * rows.num_rows
    return [b"".join(row) for row in zip(*(cells(r, rows[r.name]) for r in program.inputs), strict=True)]


class CRunner:
    """The header in C99."""

    name = "c"
    refused = frozenset({InputKind.TEXT})

    def missing_engine(self) -> str | None:
        """Return why no C program can be compiled."""
        return None if C_COMPILER else "no C compiler (cc, gcc or clang) is installed"

    def probabilities(self, program: Program, rows: pa.Table, folder: Path) -> np.ndarray:
        """Probabilities of rows, which must all be valid."""
        if any(read.kind is InputKind.TEXT for read in program.inputs):
            c_header(program)
        result = run(compiled(program, folder), table_rows(program, rows))
        q = len(program.classes)
        assert (result[:, 0] == 0).all()
        P, logits = result[:, 2 : 2 + q], result[:, 2 + q :]
        np.testing.assert_array_equal(result[:, 1], P.argmax(axis=1))
        if not program.steps:
            shares = np.exp(logits - logits.max(axis=1, keepdims=True))
            np.testing.assert_allclose(shares / shares.sum(axis=1, keepdims=True), P, rtol=0, atol=1e-12)
        return P
