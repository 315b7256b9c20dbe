"""Functions in C that do not depend on the model; `@` stands for the prefix, and `@@` for it in upper case."""

from __future__ import annotations

from collections.abc import Iterable

from softreg.export.c.c_probabilities import PROBABILITY_FUNCTIONS


def with_prefix(source: str, name: str) -> str:
    """Return source in C with the prefix in its names.

    Parameters
    ----------
    source : str
        Source with `@` and `@@`; no text of the user, which may have these characters.
    name : str
        Prefix.

    Returns
    -------
    str
        Source.

    Examples
    --------
    >>> with_prefix("@_add(p, @@_CLASSES);", "churn")
    'churn_add(p, CHURN_CLASSES);'
    """
    return source.replace("@@", name.upper()).replace("@", name)


def used_functions(names: Iterable[str], prefix: str) -> list[str]:
    """Return the definitions of functions, in an order in which each is defined before its uses.

    Parameters
    ----------
    names : iterable of str
        Keys of `FUNCTIONS`; those that they use are added.
    prefix : str
        Prefix of all names.

    Returns
    -------
    list of str
        Definitions.

    Examples
    --------
    >>> len(used_functions(["missing_text"], "churn"))
    2
    """
    used = set(names)
    for name in reversed(FUNCTIONS):
        if name in used:
            used |= {other for other in FUNCTIONS if f"@_{other}(" in FUNCTIONS[name]}
    return [with_prefix(source, prefix) for name, source in FUNCTIONS.items() if name in used]


FUNCTIONS = {
    "add": """\
/* Adds value * weights of a feature to the logits. */
static inline void @_add(double *logits, size_t feature, double value) {
  const double *w = @_weights + feature * @@_CLASSES;
  size_t k;
  for (k = 0; k < @@_CLASSES; ++k) logits[k] += value * w[k];
}
""",
    "clip": """\
static inline double @_clip(double x, double low, double high) {
  return x < low ? low : x > high ? high : x;
}
""",
    "interpolate": """\
/* Linear interpolation through n points with increasing knots, constant beyond them. */
static inline double @_interpolate(double x, const double *knots, const double *values, size_t n) {
  size_t low = 0, high = n - 1;
  double slope, y;
  if (x < knots[0]) return values[0];
  if (x >= knots[high]) return values[high];
  while (high - low > 1) {
    const size_t middle = low + (high - low) / 2;
    if (knots[middle] <= x) low = middle; else high = middle;
  }
  if (x <= knots[low]) return values[low];
  slope = (values[high] - values[low]) / (knots[high] - knots[low]);
  y = slope * (x - knots[low]) + values[low];
  if (isnan(y)) y = slope * (x - knots[high]) + values[high];
  return isnan(y) ? values[low] : y;
}
""",
    "locate": """\
/* Place of the knot before x among n knots, at most n - 2, and the share of the next one; x is limited to the knots. */
static inline void @_locate(double x, const double *knots, size_t n, size_t *place, double *share) {
  size_t low = 0, high = n - 1;
  x = x < knots[0] ? knots[0] : x > knots[high] ? knots[high] : x;
  while (high - low > 1) {
    const size_t middle = low + (high - low) / 2;
    if (knots[middle] <= x) low = middle; else high = middle;
  }
  *place = low;
  *share = (x - knots[low]) / (knots[low + 1] - knots[low]);
}
""",
    "grid": """\
/* Adds n features of an interaction, each by interpolation in a grid of values at pairs of nodes, to the logits. */
static inline void @_grid(double *logits, size_t feature, size_t n, const double *values, const size_t nodes[2],
                          const size_t places[2], const double shares[2]) {
  const double s = shares[0], t = shares[1];
  size_t k;
  for (k = 0; k < n; ++k) {
    const double *v = values + (k * nodes[0] + places[0]) * nodes[1] + places[1];
    double value = (1.0 - s) * (1.0 - t) * v[0];
    if (t > 0.0) value += (1.0 - s) * t * v[1];
    if (s > 0.0) value += s * (1.0 - t) * v[nodes[1]];
    if (s > 0.0 && t > 0.0) value += s * t * v[nodes[1] + 1];
    @_add(logits, feature + k, value);
  }
}
""",
    "find_number": """\
/* Place of a number in a sorted table; n where it is not there. */
static inline size_t @_find_number(double x, const double *sorted, size_t n) {
  size_t low = 0, high = n;
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    if (sorted[middle] < x) low = middle + 1; else high = middle;
  }
  return low < n && sorted[low] <= x ? low : n;
}
""",
    "find_text": """\
/* Place of a text in a table that is sorted by bytes; n where it is not there. */
static inline size_t @_find_text(const char *text, const char *const *sorted, size_t n) {
  size_t low = 0, high = n;
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    const int order = strcmp(sorted[middle], text);
    if (order == 0) return middle;
    if (order < 0) low = middle + 1; else high = middle;
  }
  return n;
}
""",
    "blank": """\
/* Bytes of the white space character of Unicode at the start of a text of n bytes; 0 where there is none. */
static inline size_t @_blank(const char *text, size_t n) {
  const unsigned char *u = (const unsigned char *)text;
  if (n == 0) return 0;
  if ((u[0] >= 0x09 && u[0] <= 0x0D) || (u[0] >= 0x1C && u[0] <= 0x20)) return 1;
  if (n >= 2 && u[0] == 0xC2 && (u[1] == 0x85 || u[1] == 0xA0)) return 2;
  if (n < 3) return 0;
  if (u[0] == 0xE1 && u[1] == 0x9A && u[2] == 0x80) return 3;
  if (u[0] == 0xE2 && u[1] == 0x80 && u[2] >= 0x80 && u[2] <= 0x8A) return 3;
  if (u[0] == 0xE2 && u[1] == 0x80 && (u[2] == 0xA8 || u[2] == 0xA9 || u[2] == 0xAF)) return 3;
  if (u[0] == 0xE2 && u[1] == 0x81 && u[2] == 0x9F) return 3;
  return u[0] == 0xE3 && u[1] == 0x80 && u[2] == 0x80 ? 3 : 0;
}
""",
    "missing_text": """\
/* Whether a text is NULL, blank, or one of n words apart from surrounding blanks. */
static inline int @_missing_text(const char *text, const char *const *words, size_t n) {
  size_t length, width, i;
  if (text == NULL) return 1;
  length = strlen(text);
  while ((width = @_blank(text, length)) > 0) {
    text += width;
    length -= width;
  }
  for (width = 1; width <= 3 && width <= length; ++width) {
    if (@_blank(text + length - width, width) == width) {
      length -= width;
      width = 0;
    }
  }
  if (length == 0) return 1;
  for (i = 0; i < n; ++i) {
    if (strlen(words[i]) == length && memcmp(words[i], text, length) == 0) return 1;
  }
  return 0;
}
""",
    "floor_mod": """\
/* The remainder of x / m with the sign of m > 0. */
static inline double @_floor_mod(double x, double m) {
  const double r = fmod(x, m);
  return r < 0 ? r + m : r;
}
""",
    "day_phase": """\
/* Share of the day that has passed, of a time in seconds since 1970. */
static inline double @_day_phase(double seconds) {
  return @_floor_mod(seconds, 86400.0) / 86400.0;
}
""",
    "week_phase": """\
/* Share of the week that has passed in whole days from Monday on; 1970 began on a Thursday. */
static inline double @_week_phase(double seconds) {
  return @_floor_mod(floor(seconds / 86400.0) + 3.0, 7.0) / 7.0;
}
""",
    "year_start": """\
/* Days before the year with this number in a cycle of 400 years, the first year of which is a leap year. */
static inline int @_year_start(int year) {
  return 365 * year + (year + 3) / 4 - (year + 99) / 100 + (year + 399) / 400;
}
""",
    "year_day": """\
/* Sets the day of the year, from 0 on, and returns the length of the year. The calendar repeats after 400 years, which
   are 146097 days; a cycle began with 2000, on day 10957 of the count from 1970. */
static inline int @_year_day(double seconds, int *day) {
  const int cycle_day = (int)@_floor_mod(floor(seconds / 86400.0) - 10957.0, 146097.0);
  int year = cycle_day / 366;
  while (@_year_start(year + 1) <= cycle_day) ++year;
  *day = cycle_day - @_year_start(year);
  return @_year_start(year + 1) - @_year_start(year);
}
""",
    "year_phase": """\
/* Share of the year that has passed, in whole days. */
static inline double @_year_phase(double seconds) {
  int day;
  const int length = @_year_day(seconds, &day);
  return (double)day / (double)length;
}
""",
    "month_phase": """\
/* Share of the month that has passed, in whole days. */
static inline double @_month_phase(double seconds) {
  static const int lengths[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  int day, month, length = 31;
  const int leap = @_year_day(seconds, &day) - 365;
  for (month = 0; month < 12; ++month) {
    length = lengths[month] + (month == 1 ? leap : 0);
    if (day < length) break;
    day -= length;
  }
  return (double)day / (double)length;
}
""",
    "cycle": """\
/* Adds sine and cosine of a phase. */
static inline void @_cycle(double *logits, size_t feature, double phase) {
  const double angle = 6.283185307179586 * phase;
  @_add(logits, feature, sin(angle));
  @_add(logits, feature + 1, cos(angle));
}
""",
    **PROBABILITY_FUNCTIONS,
}
"""Definitions by name; each stands after those that it uses."""
