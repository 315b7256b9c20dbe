"""The header: a model in one file of C99."""

from __future__ import annotations

from collections.abc import Sequence

from softreg.export.c.c_functions import used_functions, with_prefix
from softreg.export.c.c_grids import grid_source
from softreg.export.c.c_inputs import TYPES, read_input
from softreg.export.c.c_literals import (
    comment_text,
    double_literal,
    double_table,
    string_literal,
    table,
    text_table,
)
from softreg.export.c.c_names import COUNT, check_prefix, member_names
from softreg.export.c.c_steps import steps_source
from softreg.export.export_errors import ExportError
from softreg.export.program import GridTerm, Input, InputKind, Program, Term

LEAST_INTEGER, GREATEST_INTEGER = -(2**63), 2**63 - 1
"""Range of int64_t."""

ABOUT = """\
   Fill a @_row and call @_predict; an example stands below. Strings are UTF-8.
   The functions allocate nothing, have no state and can run in several threads at once.
   They need little of the stack: at most one number a class (calibration by a matrix) and one bit a tag.
   A compiler must keep nan and infinity: never use -ffast-math or -ffinite-math-only.
   All of it is static: include it in one source file, or in several, each of which then has a copy.

     @_row row;
     double p[@@_CLASSES];
     memset(&row, 0, sizeof row);
     ... set every member of row; a number 0 is not missing ...
     if (@_predict(&row, p) == 0) puts(@_class_labels[@_label(p)]);
*/
"""

GUARD = """\
#ifndef @@_H
#define @@_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__) || defined(_M_FP_FAST)
#error "This header needs nan and infinity: compile it without -ffast-math and -ffinite-math-only."
#endif

"""

PREDICT = """\
/* Sets the probabilities of the classes and returns 0. Where a value is invalid, it returns 1 plus the place of the
   input in @_input_names, and where no probabilities are defined (the logits overflow, or no class is left after class
   rates), 1 + @@_INPUTS; all probabilities are then nan. */
static inline int @_predict(const @_row *row, double probabilities[@@_CLASSES]) {
  size_t k;
  int invalid;
  memcpy(probabilities, @_bias, sizeof @_bias);
  invalid = @_read(row, probabilities);
  if (invalid == 0 && !@_finish(probabilities)) invalid = 1 + @@_INPUTS;
  if (invalid == 0) return 0;
  for (k = 0; k < @@_CLASSES; ++k) probabilities[k] = (double)NAN;
  return invalid;
}

/* The place of the most probable class, the first of equal ones; -1 for probabilities that are nan. */
static inline int @_label(const double *probabilities) {
  int k, best = 0;
  if (isnan(probabilities[0])) return -1;
  for (k = 1; k < @@_CLASSES; ++k) {
    if (probabilities[k] > probabilities[best]) best = k;
  }
  return best;
}

"""

ROW_OF_ONE = """\
/* @_predict for the only input, an array of {length} numbers. */
static inline int @_predict_x(const double *x, double probabilities[@@_CLASSES]) {{
  @_row row;
  row.{member} = x;
  return @_predict(&row, probabilities);
}}

"""


def c_header(program: Program, name: str = "softreg") -> str:
    """Return a program as a header of C99, which C++ reads as well.

    It has the types and functions `<name>_row`, `<name>_predict`, `<name>_logit_parts` and `<name>_label`, and the
    tables `<name>_input_names` and `<name>_class_labels`; its comments say how they are used. It needs the standard
    library only. `softreg.export.c.c_names.member_names` defines the members of the row.

    Parameters
    ----------
    program : Program
        A fitted model, from `build_program`.
    name : str, default "softreg"
        Beginning of all names: a lower-case letter, then lower-case letters, digits and single underscores. Headers
        with different names can be used together.

    Returns
    -------
    str
        The header, in ASCII.

    Raises
    ------
    ExportError
        If the name is no such name, an input is free text, or a text (level, label, name) has a zero character or
        more than 4,095 bytes.

    Examples
    --------
    >>> from softreg import SoftmaxRegression
    >>> from softreg.export import build_program
    >>> model = SoftmaxRegression(0.1).fit([[0.0], [1.0], [2.0]], ["a", "b", "b"])
    >>> header = c_header(build_program(model), "tiny")
    >>> "static inline int tiny_predict(const tiny_row *row, double probabilities[TINY_CLASSES])" in header
    True
    """
    check_prefix(name)
    _refuse_texts(program.inputs)
    members = member_names(program.inputs)
    reads = [
        read_input(read, place, member, terms=_terms_of(program, place), prefix=name)
        for place, (read, member) in enumerate(zip(program.inputs, members, strict=True))
    ]
    grids = grid_source(program, members, name)
    steps = steps_source(program.steps, name)
    functions = steps.functions.union(grids.functions, *(read.functions for read in reads))
    definitions = "\n".join(used_functions(functions, name)) + "\n"
    weights = ""
    if f"{name}_weights" in definitions:
        weights = double_table(f"{name}_weights", program.weights.ravel().tolist())
    parts = [
        _about(program, name),
        with_prefix(GUARD, name),
        _sizes(program, name),
        _row(program.inputs, members, name),
        _names(program, name),
        with_prefix("/* Weights, feature by feature, and bias of each class. */\n", name),
        weights,
        double_table(f"{name}_bias", program.bias.tolist()) + "\n",
        definitions,
        "\n".join(read.source for read in reads) + "\n",
        grids.source,
        steps.source + "\n",
        with_prefix(_all_inputs(len(reads), len(program.grids)), name),
        with_prefix(PREDICT, name),
        with_prefix(_one_input(program.inputs, members), name),
        with_prefix(_logit_parts(len(reads), len(program.grids)), name),
        "#endif\n",
    ]
    return "".join(parts)


def _terms_of(program: Program, place: int) -> list[Term]:
    """Return the terms of one input."""
    return [term for term in program.terms if term.input == place and not isinstance(term, GridTerm)]


def _refuse_texts(inputs: Sequence[Input]) -> None:
    """Raise an error for an input of free text."""
    for read in inputs:
        if read.kind is InputKind.TEXT:
            raise ExportError(
                f"Column {read.name!r} is free text, and the C header does not split text into words, which needs the "
                f"tables of Unicode. Train a model without it (drop=[{read.name!r}]), or export to another target."
            )


def _about(program: Program, name: str) -> str:
    """Return the comment at the top."""
    target = f" of {comment_text(program.target)}" if program.target else ""
    version = f" {comment_text(program.version)[1:-1]}" if program.version else ""
    head = f"/* Class probabilities{target}: a softmax regression of softreg{version}.\n\n"
    return head + with_prefix(ABOUT, name)


def _sizes(program: Program, name: str) -> str:
    """Return the numbers of inputs and classes."""
    sizes = f"#define @@_INPUTS {len(program.inputs)}\n#define @@_CLASSES {len(program.classes)}\n"
    sizes += f"#define @@_PARTS {len(program.inputs) + len(program.grids)}\n\n"
    return with_prefix(sizes, name)


def _row(inputs: Sequence[Input], members: Sequence[str], name: str) -> str:
    """Return the type of a row."""
    lines = [f"typedef struct {name}_row {{"]
    for read, member in zip(inputs, members, strict=True):
        lines.append(f"  {TYPES[read.kind].format(member)}; /* {comment_text(read.name)}: {_meaning(read)} */")
        if read.kind is InputKind.TAGS:
            lines.append(f"  size_t {member}{COUNT}; /* number of these tags */")
    if not inputs:
        lines.append("  char none; /* the model reads nothing */")
    return "\n".join(lines) + f"\n}} {name}_row;\n\n"


def _meaning(read: Input) -> str:
    """Return what a member holds."""
    missing = "required" if read.required else "NULL is missing" if read.kind in POINTERS else "NAN is missing"
    others = [double_literal(number) for number in read.missing_numbers] if read.kind in NUMBERS else []
    if others and not read.required:
        missing = f"NAN and {', '.join(others)} are missing"
    note = f". {comment_text(read.note)[1:-1]}" if read.note else ""
    match read.kind:
        case InputKind.BOOLEAN:
            words = f" ({comment_text(read.levels[1])} is 1)" if len(read.levels) == 2 else ""
            what = f"1 or 0{words}"
        case InputKind.CATEGORY:
            words = ", ".join(comment_text(word) for word in read.missing_words if word.strip())
            what, missing = "text", "required" if read.required else "NULL and blank text are missing"
            missing += f", as {words}" if words and not read.required else ""
        case InputKind.DATE:
            what = "wall-clock time in seconds since 1970-01-01 00:00"
        case InputKind.VECTOR:
            what = f"array of {read.length} numbers"
        case InputKind.TAGS:
            what, missing = "texts", "required" if read.required else "NULL is none, NULL elements are skipped"
        case _:
            what = "number"
    return f"{what}; {missing}{note}"


NUMBERS = (InputKind.NUMBER, InputKind.CODE)
"""Kinds with numbers that stand for a missing value."""
POINTERS = (InputKind.CATEGORY, InputKind.VECTOR, InputKind.TAGS)
"""Kinds whose members are pointers."""


def _names(program: Program, name: str) -> str:
    """Return the tables of the names of inputs, of the elements of an array, and of labels."""
    inputs = [string_literal(read.name, "The column name") for read in program.inputs]
    parts = [table(f"char *const {name}_input_names", inputs or ["NULL"])]
    if program.grids:
        parts.append("/* Interactions: the parts of the logits after those of the inputs. */\n")
        names = [term.name for term in program.grids]
        parts.append(text_table(f"{name}_interaction_names", names, "The name of the interaction"))
    for place, read in enumerate(program.inputs):
        if read.elements:
            parts.append(f"/* Names of the numbers of input {place}. */\n")
            parts.append(text_table(f"{name}_element_names_{place}", read.elements, "The feature name"))
    parts.append(text_table(f"{name}_class_labels", program.label_texts, "The class label"))
    labels = program.classes
    whole = [label for label in labels if isinstance(label, int) and not isinstance(label, bool)]
    if len(whole) == len(labels):
        if all(LEAST_INTEGER <= label <= GREATEST_INTEGER for label in whole):
            parts.append(table(f"int64_t {name}_class_values", map(_integer_literal, whole)))
    elif all(isinstance(label, float) for label in labels):
        parts.append(double_table(f"{name}_class_values", [float(label) for label in labels]))
    return "".join(parts) + "\n"


def _integer_literal(value: int) -> str:
    """Return an integer in C."""
    return "(-INT64_C(9223372036854775807) - 1)" if value == LEAST_INTEGER else f"INT64_C({value})"


def _all_inputs(count: int, grids: int) -> str:
    """Return the function that adds all inputs and interactions to the logits."""
    lines = [f"  if (!@_read_{place}(row, logits)) return {place + 1};\n" for place in range(count)]
    lines += [f"  @_interaction_{number}(row, logits);\n" for number in range(grids)]
    return (
        "/* Adds all inputs to the logits; returns 0, or 1 plus the place of the first invalid input. */\n"
        "static inline int @_read(const @_row *row, double *logits) {\n"
        + ("".join(lines) or "  (void)row;\n  (void)logits;\n")
        + "  return 0;\n}\n\n"
    )


def _one_input(inputs: Sequence[Input], members: Sequence[str]) -> str:
    """Return the function for a model of arrays; empty for others."""
    if len(inputs) != 1 or inputs[0].kind is not InputKind.VECTOR:
        return ""
    return ROW_OF_ONE.format(length=inputs[0].length, member=members[0])


def _logit_parts(count: int, grids: int) -> str:
    """Return the function of the part of each input, and of each interaction after them, in the logits."""
    lines = [
        f"  for (k = 0; k < @@_CLASSES; ++k) out[{place}][k] = 0.0;\n"
        f"  if (invalid == 0 && !@_read_{place}(row, out[{place}])) invalid = {place + 1};\n"
        for place in range(count)
    ]
    lines += [
        f"  for (k = 0; k < @@_CLASSES; ++k) out[{count + number}][k] = 0.0;\n"
        f"  if (invalid == 0) @_interaction_{number}(row, out[{count + number}]);\n"
        for number in range(grids)
    ]
    wipe = """\
  if (invalid != 0) {
    size_t i;
    for (i = 0; i < @@_PARTS; ++i) {
      for (k = 0; k < @@_CLASSES; ++k) out[i][k] = (double)NAN;
    }
  }
"""
    body = f"  int invalid = 0;\n  size_t k;\n{''.join(lines)}{wipe}  return invalid;\n"
    return (
        "/* Sets what each input, and each interaction after them, adds to the logit of each class: @@_PARTS rows.\n"
        "   The logits are @_bias plus their sum, and the\n"
        "   probabilities follow from them by softmax and, where the model has a calibrator, its steps. Returns 0, or\n"
        "   1 plus the place of an invalid input; all are then nan. */\n"
        "static inline int @_logit_parts(const @_row *row, double out[][@@_CLASSES]) {\n"
        + (body if count else "  (void)row;\n  (void)out;\n  return 0;\n")
        + "}\n\n"
    )
