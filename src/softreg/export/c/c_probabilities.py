"""Functions in C from logits to probabilities, in the notation of `c_functions.py`."""

PROBABILITY_FUNCTIONS = {
    "normalize": """\
/* Divides numbers by their sum; returns 0 where that is not positive and finite. */
static inline int @_normalize(double *p) {
  double sum = 0.0;
  size_t k;
  for (k = 0; k < @@_CLASSES; ++k) sum += p[k];
  if (!(sum > 0.0) || isinf(sum)) return 0;
  for (k = 0; k < @@_CLASSES; ++k) p[k] /= sum;
  return 1;
}
""",
    "softmax": """\
/* Replaces logits by probabilities; returns 0 where they overflowed. */
static inline int @_softmax(double *p) {
  double largest = p[0];
  size_t k;
  for (k = 0; k < @@_CLASSES; ++k) {
    if (isnan(p[k])) return 0;
    if (p[k] > largest) largest = p[k];
  }
  if (isinf(largest)) return 0;
  for (k = 0; k < @@_CLASSES; ++k) p[k] = exp(p[k] - largest);
  return @_normalize(p);
}
""",
    "replace_zeros": """\
/* The zeros of a row share a mass, each at most half the least positive probability. */
static inline int @_replace_zeros(double *p, double mass, double smallest) {
  double least = (double)INFINITY, share;
  size_t zeros = 0, k;
  for (k = 0; k < @@_CLASSES; ++k) {
    if (p[k] > 0.0) {
      if (p[k] < least) least = p[k];
    } else {
      ++zeros;
    }
  }
  if (zeros == 0) return 1;
  share = mass / (double)zeros;
  if (least / 2.0 < share) share = least / 2.0;
  if (share < smallest) share = smallest;
  for (k = 0; k < @@_CLASSES; ++k) {
    if (!(p[k] > 0.0)) p[k] = share;
  }
  return @_normalize(p);
}
""",
    "scale_logs": """\
/* softmax(scale * log p + bias) */
static inline int @_scale_logs(double *p, const double *scale, const double *bias) {
  size_t k;
  for (k = 0; k < @@_CLASSES; ++k) p[k] = scale[k] * log(p[k]) + bias[k];
  return @_softmax(p);
}
""",
    "mix_logs": """\
/* softmax(log p @ W + b), with the rows of W one after the other. It keeps one double a class on the stack. */
static inline int @_mix_logs(double *p, const double *rows, const double *bias) {
  double logs[@@_CLASSES];
  size_t k, j;
  for (k = 0; k < @@_CLASSES; ++k) {
    logs[k] = log(p[k]);
    p[k] = bias[k];
  }
  for (j = 0; j < @@_CLASSES; ++j) {
    for (k = 0; k < @@_CLASSES; ++k) p[k] += logs[j] * rows[j * @@_CLASSES + k];
  }
  return @_softmax(p);
}
""",
    "mix_bounded_logs": """\
/* softmax(l @ W + b - curve * log(1 - l)) with l = max(log p, least). It keeps one double a class on the stack. */
static inline int @_mix_bounded_logs(double *p, const double *rows, const double *bias, double curve, double least) {
  double logs[@@_CLASSES];
  size_t k, j;
  for (k = 0; k < @@_CLASSES; ++k) {
    logs[k] = log(p[k]);
    if (logs[k] < least) logs[k] = least;
    p[k] = bias[k] - curve * log(1.0 - logs[k]);
  }
  for (j = 0; j < @@_CLASSES; ++j) {
    for (k = 0; k < @@_CLASSES; ++k) p[k] += logs[j] * rows[j * @@_CLASSES + k];
  }
  return @_softmax(p);
}
""",
    "quadratic_log_odds": """\
/* Two classes with log-odds linear * z + square * z * z + constant, for z = max(log p[1], least) - max(log p[0], least)
   between low and high. */
static inline int @_quadratic_log_odds(double *p, double linear, double square, double constant, double low,
                                       double high, double least) {
  double first = log(p[0]), z = log(p[1]);
  if (first < least) first = least;
  if (z < least) z = least;
  z -= first;
  if (z < low) z = low;
  if (z > high) z = high;
  p[0] = 0.0;
  p[1] = linear * z + square * z * z + constant;
  return @_softmax(p);
}
""",
    "isotonic_shares": """\
/* Each probability by its curve, divided by their sum (p itself where that is 0), mixed with a share of p. The curve of
   class k has the points from starts[k] to starts[k + 1]. */
static inline int @_isotonic_shares(double *p, const double *knots, const double *values, const uint32_t *starts,
                                    double kept) {
  double sum = 0.0;
  size_t k;
  for (k = 0; k < @@_CLASSES; ++k) {
    const uint32_t start = starts[k];
    sum += @_interpolate(p[k], knots + start, values + start, starts[k + 1] - start);
  }
  if (!(sum > 0.0)) return 1;
  for (k = 0; k < @@_CLASSES; ++k) {
    const uint32_t start = starts[k];
    const double share = @_interpolate(p[k], knots + start, values + start, starts[k + 1] - start) / sum;
    p[k] = (1.0 - kept) * share + kept * p[k];
  }
  return 1;
}
""",
    "shift_rates": """\
/* p * ratio, divided by its sum. */
static inline int @_shift_rates(double *p, const double *ratio) {
  size_t k;
  for (k = 0; k < @@_CLASSES; ++k) p[k] *= ratio[k];
  return @_normalize(p);
}
""",
}
"""Definitions by name; each stands after those that it uses."""
