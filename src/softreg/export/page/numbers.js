// Numbers as text, and the stops of sliders.

const STOPS = 200;
const FEW_WHOLE = 10;
const FINEST = 1e-6, FINE = 0.0005;
const ROUNDING = 0.01;

/** Text of a probability, in percent with one decimal, or two digits of its distance from 0 or 1 if that is less. */
function percent(p) {
  const away = Math.min(p, 1 - p);
  if (away > 0 && away < FINEST) return p < 0.5 ? "< 0.0001%" : "> 99.9999%";
  const digits = away > 0 && away < FINE ? Math.ceil(-Math.log10(100 * away) - 1e-9) + 1 : 1;
  return `${(100 * p).toFixed(digits)}%`;
}

/** Text of an observed share or a limit, in percent with at most three digits. */
function share(value) {
  return `${Number((100 * value).toPrecision(3))}%`;
}

/** Text of a signed number with two decimals or two digits, and a minus sign of the width of the plus sign. */
function signed(value) {
  if (value === 0) return "0";
  const size = Math.abs(value), small = size < 0.0001 && size > 0;
  const text = size >= 1e5 || small ? size.toExponential(1) : size > 0 && size < 0.095 ? size.toPrecision(2) : size.toFixed(2);
  return `${value < 0 ? "\u2212" : "+"}${text}`;
}

/** Text of a number of a column. */
function plain(value) {
  return String(Number(value.toPrecision(12))).replace(/^-/, "\u2212");
}

function roundTo(value, unit) {
  return Number((Math.round(value / unit) * unit).toPrecision(15));
}

/** The power of ten by which a number is rounded where neighbours are `gap` apart. */
function unitOf(gap) {
  return 10 ** Math.floor(Math.log10(gap / 10));
}

/** 1, 2 or 5 times a power of ten, at least `least`. */
function niceStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= least * (1 - 1e-9));
}

/** Whether all known numbers of training are whole, so that the column seems to be a count or an integer. */
function seemsWhole({ low, high, knots }) {
  const known = knots.length ? knots : [low, high];
  return known.every(Number.isInteger) && high - low >= (knots.length ? 1 : FEW_WHOLE);
}

/** Increasing values of a slider: between knots, which are quantiles of training, or else in equal steps. */
function sliderStops({ low, high, knots, whole }) {
  if (!(high > low)) return [];
  const stops = knots.length > 2 ? stopsByKnots(knots, whole) : stopsBySteps(low, high, whole);
  const inner = stops.filter((stop) => stop > low && stop < high);
  return [...new Set([low, ...inner, high])];
}

function stopsBySteps(low, high, whole) {
  const least = high / STOPS - low / STOPS;
  const step = whole ? Math.max(1, niceStep(least)) : niceStep(least), stops = [];
  if (!(step > 0 && Number.isFinite(step))) return stops;
  const first = Math.ceil(low / step), count = Math.floor(high / step) - first;
  for (let k = 0; k <= count; k++) stops.push(roundTo((first + k) * step, step));
  return stops;
}

function stopsByKnots(knots, whole) {
  const each = Math.max(1, Math.round(STOPS / knots.length)), stops = [];
  for (let i = 0; i + 1 < knots.length; i++) {
    const gap = (knots[i + 1] - knots[i]) / each;
    for (let k = 0; k < each; k++) {
      const stop = knots[i] + k * gap, unit = whole ? 1 : unitOf(gap);
      stops.push(Number.isFinite(unit) && unit > 0 ? roundTo(stop, unit) : stop);
    }
  }
  return stops.sort((a, b) => a - b);
}

/** Place of the stop that is nearest to a value. */
function nearestStop(stops, value) {
  let low = 0, high = stops.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (stops[middle] <= value) low = middle;
    else high = middle;
  }
  return Math.abs(stops[high] - value) < Math.abs(stops[low] - value) ? high : low;
}

/** Place of a value on a slider as a share of its length, between stops by interpolation. */
function trackShare(stops, value) {
  if (stops.length < 2) return 0;
  const positions = stops.map((_, k) => k / (stops.length - 1));
  return interpolate({ knots: stops, values: positions }, value);
}

/**
 * The number with the fewest digits that works, from `edge` on away from `from`, at most 1 % of the way further: of the
 * way in numbers and, where there is a slider, of its length, whose stops are dense where the training rows are.
 */
function shortNumber({ from, edge, limit, whole, stops }, works) {
  const way = edge - from, up = way > 0, edgeShare = trackShare(stops, edge);
  const isNear = (x) => Math.abs(x - edge) <= ROUNDING * Math.abs(way) && Math.abs(trackShare(stops, x) - edgeShare) <= ROUNDING;
  const start = Math.floor(Math.log10(Math.max(Math.abs(edge), Math.abs(way))));
  for (let power = start; power >= start - 16; power--) {
    const unit = 10 ** power;
    if (whole && unit < 1) break;
    const rounded = Number(((up ? Math.ceil(edge / unit) : Math.floor(edge / unit)) * unit).toPrecision(15));
    const near = isNear(rounded) || (whole && unit === 1);
    if (near && (up ? rounded >= edge && rounded <= limit : rounded <= edge && rounded >= limit) && works(rounded)) return rounded;
  }
  return !whole && works(edge) ? edge : null;
}

/** Seconds since 1970 as the text of a date, or of a time where the column has times of the day. */
function dateText(seconds, times) {
  const text = new Date(Math.round(seconds) * 1000).toISOString();
  return times ? text.slice(0, text.endsWith(":00.000Z") ? 16 : 19) : text.slice(0, 10);
}
