/**
 * Probabilities of a softmax regression. PROGRAM, above, holds the inputs, terms, weights and steps of the model.
 *
 * @typedef {number|string|boolean|null|string[]|number[]} Value  A cell; null is a missing value.
 * @typedef {Object<string, Value>|number[]} Row  Cells by column, or the features of a model of arrays.
 * @typedef {{name: string, kind: string, required: boolean, levels: string[], low: ?number, high: ?number,
 *   typical: ?number, length: number, elements: string[], note: string}} Input
 * @typedef {{probabilities: number[], label: string|number|boolean}} Prediction
 * @typedef {{lower: number[], upper: number[]}} Limits
 */

const DAY = 86400;
const BLANKS = "[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+";
const EDGES = new RegExp(`^${BLANKS}|${BLANKS}$`, "g");
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;
const CODE = /^[+-]?(0|[1-9]\d*)(\.\d*)?([eE][+-]?\d{1,4})?$/;
const TIME = /^(\d{1,2}):(\d{2})(?::(\d{2}(?:[.,]\d+)?))?$/;
const DATE = /^(\d{4})-(\d{1,2})-(\d{1,2})(?:[T ](\d{1,2}):(\d{2})(?::(\d{2}(?:[.,]\d+)?))?)?(?: ?(?:Z|UTC|[+-]\d{2}(?::?\d{2})?))?$/i;

/** Labels of the classes, in the order of all arrays of probabilities.
 * @type {(string|number|boolean)[]} */
export const classes = PROGRAM.classes;

/** The columns that a row must have.
 * @type {Input[]} */
export const inputs = PROGRAM.inputs;

/** The interactions of two inputs, whose numbers in `inputs` are `left` and `right`.
 * @type {{name: string, left: number, right: number}[]} */
export const interactions = PROGRAM.terms.filter((term) => term.kind === "grid").map(({ name, left, right }) => ({
  name, left: left.input, right: right.input,
}));

/** What is predicted, the version of softreg, and whether there are intervals.
 * @type {{target: string, version: string, intervals: boolean, features: string[]}} */
export const model = {
  target: PROGRAM.target,
  version: PROGRAM.version,
  intervals: PROGRAM.covariance !== null,
  features: PROGRAM.features,
};

/** A row that has no prediction: `input` is the name of the column and `value` what it holds. */
export class InputError extends Error {
  /** @param {string} input @param {*} value @param {string} message */
  constructor(input, value, message) {
    super(`Column ${JSON.stringify(input)} ${message}`);
    this.name = "InputError";
    this.input = input;
    this.value = value;
  }
}

/**
 * Return the class probabilities of a row and the most probable class.
 * @param {Row} row
 * @returns {Prediction}
 * @throws {InputError} for a column that is missing, or a value that is not of its kind.
 */
export function predict(row) {
  const logits = logitsOf(encode(readRow(row)));
  const probabilities = recalibrate(softmax(logits));
  return { probabilities, label: classes[argmax(probabilities)] };
}

/**
 * Return the logits of a row.
 * @param {Row} row
 * @returns {number[]}
 */
export function logits(row) {
  return logitsOf(encode(readRow(row)));
}

/**
 * Return what each input and each interaction adds to each logit, relative to a row whose numbers have their training
 * mean (by normal scores: the median) and whose curves have theirs, whose booleans have their training share, whose
 * categories have the mean over their features, each counted once, which has no tag or term, and whose interactions have
 * the products of these values: 0 with a number.
 * @param {Row} row
 * @returns {number[][]} One array of q numbers for each input, in the order of `inputs`, then for each of `interactions`.
 */
export function contributions(row) {
  const sums = [...inputs, ...interactions].map(() => new Array(classes.length).fill(0));
  for (const { part, feature, value, baseline, label } of encode(readRow(row))) {
    if (feature < 0) sums[part][label] += value;
    else for (let k = 0; k < classes.length; k++) sums[part][k] += (value - baseline) * weight(feature, k);
  }
  for (const { input, first, width } of LEVELS) {
    for (let k = 0; k < classes.length; k++) {
      for (let place = 0; place < width; place++) sums[input][k] -= weight(first + place, k) / width;
    }
  }
  return sums;
}

/**
 * Return the limits of the intervals of the probabilities, by the delta method on the log-odds.
 * @param {Row} row
 * @param {number} [level=0.95]
 * @returns {Limits}
 */
export function intervals(row, level = 0.95) {
  if (PROGRAM.covariance === null) throw new Error("The model keeps no covariance of its weights that this file can hold, which intervals need; of curves and interactions it holds none, and softreg predict --interval computes their intervals.");
  if (!(level > 0 && level < 1)) throw new Error(`level is ${level}; expected a number between 0 and 1, such as 0.95.`);
  const entries = encode(readRow(row));
  const o = logitsOf(entries), q = o.length;
  const covariance = logitCovariance(entries);
  const width = normalQuantile(level);
  const lower = [], upper = [];
  for (let k = 0; k < q; k++) {
    const others = o.filter((_, l) => l !== k);
    const top = Math.max(...others), shifted = others.map((v) => Math.exp(v - top));
    const mass = shifted.reduce((a, b) => a + b, 0);
    const eta = o[k] - top - Math.log(mass);
    const gradient = o.map((v, l) => (l === k ? 1 : -Math.exp(v - top) / mass));
    let variance = 0;
    for (let a = 1; a < q; a++) for (let b = 1; b < q; b++) variance += gradient[a] * gradient[b] * covariance[a - 1][b - 1];
    const error = Math.sqrt(Math.max(variance, 0));
    lower.push(expit(eta - width * error));
    upper.push(expit(eta + width * error));
  }
  return { lower, upper };
}

// ---------------------------------------------------------------- reading a row

function trim(text) {
  return text.replace(EDGES, "");
}

/** Values of the inputs in order: number, text, array or null; an array for a model of arrays. */
function readRow(row) {
  return PROGRAM.inputs.map((input, at) => {
    const value = cellOf(row, input, at);
    const read = READERS[input.kind](value === undefined ? null : value, input);
    if (read === null && input.required) throw new InputError(input.name, value, "is missing, and the model needs it.");
    return read;
  });
}

function cellOf(row, input, at) {
  if (row === null || typeof row !== "object") throw new InputError(input.name, undefined, `needs a row; seen: ${show(row)}.`);
  if (input.elements.length) {
    if (Array.isArray(row) || ArrayBuffer.isView(row)) return row;
    if (Object.hasOwn(row, input.name) && !input.elements.includes(input.name)) return row[input.name];
    return input.elements.map((name) => {
      if (!Object.hasOwn(row, name)) throw new InputError(name, undefined, "is not among the names of the row.");
      return row[name];
    });
  }
  if (!Object.hasOwn(row, input.name)) {
    throw new InputError(input.name, undefined, "is not among the names of the row; pass null where it is not known.");
  }
  return row[input.name];
}

const READERS = {
  number(value, input) {
    if (typeof value === "boolean" && input.low === 0 && input.high === 1) return value ? 1 : 0;
    if (value !== null && typeof value !== "number") throw new InputError(input.name, value, `needs a number; seen: ${show(value)}.`);
    if (value === Infinity || value === -Infinity) throw new InputError(input.name, value, "needs a finite number.");
    return value === null || Number.isNaN(value) || input.missingNumbers.includes(value) ? null : value;
  },
  code(value, input) {
    const number = typeof value === "string" && CODE.test(trim(value)) ? Number(trim(value)) : value;
    if (typeof number === "string") return trim(number) === "" ? null : number;
    if (number !== null && typeof number !== "number") throw new InputError(input.name, value, `needs a number; seen: ${show(value)}.`);
    return number === null || Number.isNaN(number) || input.missingNumbers.includes(number) ? null : number;
  },
  boolean(value, input) {
    const word = textOf(value, input);
    if (word === null) return null;
    const folded = trim(word).toLowerCase();
    if (input.trueWords.includes(folded)) return 1;
    if (input.falseWords.includes(folded)) return 0;
    throw new InputError(input.name, value, `needs ${input.levels[1]} or ${input.levels[0]}; seen: ${show(value)}.`);
  },
  category(value, input) {
    const text = typeof value === "string" && input.levelNumbers.length ? trim(value) : "";
    const number = CODE.test(text) && Number.isInteger(Number(text)) ? Number(text) : value;
    const level = input.levelNumbers.find(([key]) => key === number);
    return level ? level[1] : textOf(value, input);
  },
  text(value, input) {
    return textOf(value, input);
  },
  date(value, input) {
    if (typeof value === "number") {
      if (Number.isNaN(value)) return null;
      if (Number.isFinite(value)) return value;
    }
    const text = typeof value === "string" ? textOf(value, input) : value;
    if (text === null || (typeof text === "string" && input.missingSpellings.includes(trim(text).toLowerCase()))) return null;
    const seconds = typeof text === "string" ? parseDate(trim(text)) : null;
    if (seconds === null) throw new InputError(input.name, value, `needs a date such as 2020-01-31 or 2020-01-31 18:30, or seconds since 1970; seen: ${show(value)}.`);
    return seconds;
  },
  vector(value, input) {
    if (value === null) return null;
    if (!Array.isArray(value) && !ArrayBuffer.isView(value)) throw new InputError(input.name, value, `needs a list of ${input.length} numbers; seen: ${show(value)}.`);
    const list = Array.from(value);
    if (list.length !== input.length) throw new InputError(input.name, value, `needs a list of ${input.length} numbers; seen: ${list.length}.`);
    const bad = list.findIndex((v) => typeof v !== "number" || !Number.isFinite(v));
    if (bad >= 0) throw new InputError(input.elements.length ? input.elements[bad] : input.name, list[bad], `needs finite numbers; seen: ${show(list[bad])}.`);
    return list;
  },
  tags(value, input) {
    if (value === null) return [];
    if (!Array.isArray(value) || value.some((tag) => tag !== null && typeof tag !== "string")) throw new InputError(input.name, value, `needs a list of texts; seen: ${show(value)}.`);
    return value.filter((tag) => tag !== null);
  },
};

/** Text of a cell; null where it is missing. */
function textOf(value, input) {
  if (value === null || (typeof value === "number" && Number.isNaN(value))) return null;
  if (typeof value === "object") throw new InputError(input.name, value, `needs text; seen: ${show(value)}.`);
  if (typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value)) {
    throw new InputError(input.name, value, `has a number of which JavaScript may round the last digits; pass it as text.`);
  }
  const text = String(value), bare = trim(text);
  return bare === "" || input.missingWords.includes(bare) ? null : text;
}

function show(value) {
  if (value instanceof Date) return "a Date object";
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 60)}\u2026` : text;
}

/** Seconds since 1970 of a wall-clock time, of which a time of day is on 1970-01-01; an offset from UTC is ignored, as
 * in training. null for other text. */
function parseDate(text) {
  const match = DATE.exec(TIME.test(text) ? `1970-01-01 ${text}` : text);
  if (!match) return null;
  const [year, month, day, hour, minute] = match.slice(1, 6).map((part) => Number(part ?? 0));
  const second = Number((match[6] ?? "0").replace(",", "."));
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day || hour > 23 || minute > 59 || second >= 61) return null;
  return Math.round(date.getTime() / 1000) + hour * 3600 + minute * 60 + second;
}

// ---------------------------------------------------------------- features

/** Entries {part, feature, value, baseline} of the features of a row that are not 0 or have another baseline, and of
 * offsets, {feature: -1}. The part is the number of an input, or that of an interaction after all inputs. */
function encode(values, terms = PROGRAM.terms) {
  const entries = [];
  for (const term of terms) {
    const add = (place, value, baseline = 0) => entries.push({ part: term.part, feature: term.first + place, value, baseline });
    TERMS[term.kind](term, values[term.input], add, entries, values);
  }
  return entries;
}

const TERMS = {
  linear(term, x, add) {
    if (x === null) return;
    const low = term.low ?? -Infinity, high = term.high ?? Infinity;
    add(0, (Math.min(Math.max(x, low), high) - term.center) / term.scale);
  },
  curve(term, x, add) {
    if (x !== null) add(0, interpolate(term, x));
  },
  boolean(term, x, add) {
    add(0, x === null ? term.fill : x, term.fill);
  },
  missing(term, x, add) {
    if (x === null) add(0, 1);
  },
  level(term, x, add) {
    const place = x === null ? term.missing : (term.places.get(x) ?? term.other);
    if (place >= 0) add(place, 1);
  },
  trend(term, t, add) {
    if (t !== null) add(0, (t - term.center) / term.scale);
  },
  cycle(term, t, add) {
    if (t === null) return;
    const angle = 2 * Math.PI * CYCLES[term.cycle](t);
    add(0, Math.sin(angle));
    add(1, Math.cos(angle));
  },
  vector(term, x, add) {
    if (x !== null) x.forEach((value, i) => add(i, (value - (term.means ? term.means[i] : 0)) / term.scale));
  },
  tags(term, tags, add) {
    const places = new Set(tags.map((tag) => term.places.get(tag) ?? term.other));
    for (const place of places) if (place >= 0) add(place, 1);
  },
  text(term, text, add) {
    const points = Array.from(wellFormed(text ?? "").replaceAll("\0", " ").toLowerCase());
    if (term.words) addGroup(term.words, wordTerms(points), add);
    if (term.runs) addGroup(term.runs, runTerms(points, term.shortest, term.longest), add);
  },
  grid(term, x, add, entries, values) {
    const a = placeOn(term.left, values), b = placeOn(term.right, values), width = term.right.nodes;
    term.values.forEach((v, k) => {
      if (a === null || b === null) {
        if (term.reference[k] !== 0) add(k, 0, term.reference[k]);
        return;
      }
      const at = a.place * width + b.place, s = a.share, t = b.share;
      let value = (1 - s) * (1 - t) * v[at];
      if (t > 0) value += (1 - s) * t * v[at + 1];
      if (s > 0) value += s * (1 - t) * v[at + width];
      if (s > 0 && t > 0) value += s * t * v[at + width + 1];
      add(k, value, term.reference[k]);
    });
  },
  offset(term, x, add, entries) {
    entries.push({ part: term.part, feature: -1, value: x, baseline: 0, label: term.label });
  },
};

/** Place {place, share} of a row on a side of a grid: a node, and the share of the next one; null without a place. */
function placeOn(side, values) {
  const x = values[side.input];
  if (side.kind === "level") {
    const place = x === null ? side.missing : (side.places.get(x) ?? side.other);
    return place < 0 ? null : { place, share: 0 };
  }
  if (side.kind === "boolean") return { place: x ?? 2, share: 0 };
  if (x === null && side.skipsMissing) return null;
  let u = 0;
  TERMS[side.value.kind](side.value, x, (place, value) => (u = value));
  const { knots } = side, last = knots.length - 1;
  u = Math.min(Math.max(u, knots[0]), knots[last]);
  const place = segment(knots, u);
  return { place, share: (u - knots[place]) / (knots[place + 1] - knots[place]) };
}

/** Linear interpolation through knots and values, constant beyond the ends. */
function interpolate({ knots, values }, x) {
  const last = knots.length - 1;
  if (x <= knots[0]) return values[0];
  if (x >= knots[last]) return values[last];
  const low = segment(knots, x);
  return ((values[low + 1] - values[low]) / (knots[low + 1] - knots[low])) * (x - knots[low]) + values[low];
}

/** Place of the knot before x, at most the last but one. */
function segment(knots, x) {
  let low = 0, high = knots.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (knots[middle] <= x) low = middle;
    else high = middle;
  }
  return low;
}

const modulo = (a, b) => a - b * Math.floor(a / b);

/** Days since 1970 of the first of March of a year, counted from the year 0 so that leap days end a year. */
function marchDay(year) {
  return 365 * year + Math.floor(year / 4) - Math.floor(year / 100) + Math.floor(year / 400) - 719468;
}

/** Days since 1970 of the first day of a month, counted from January = 0. */
function monthDay(year, month) {
  const fromMarch = modulo(month + 10, 12), y = year + Math.floor(month / 12) - (modulo(month, 12) < 2 ? 1 : 0);
  return marchDay(y) + Math.floor((153 * fromMarch + 2) / 5);
}

/** Year and month (January = 0) of a day since 1970. */
function yearAndMonth(day) {
  let year = 1970 + Math.floor(day / 365.2425);
  while (monthDay(year, 0) > day) year--;
  while (monthDay(year + 1, 0) <= day) year++;
  let month = Math.min(11, Math.floor((day - monthDay(year, 0)) / 28));
  while (monthDay(year, month) > day) month--;
  return [year, month];
}

const CYCLES = {
  day: (t) => modulo(t, DAY) / DAY,
  week: (t) => modulo(Math.floor(t / DAY) + 3, 7) / 7,
  month(t) {
    const day = Math.floor(t / DAY), [year, month] = yearAndMonth(day);
    return (day - monthDay(year, month)) / (monthDay(year, month + 1) - monthDay(year, month));
  },
  year(t) {
    const day = Math.floor(t / DAY), [year] = yearAndMonth(day);
    return (day - monthDay(year, 0)) / (monthDay(year + 1, 0) - monthDay(year, 0));
  },
};

// ---------------------------------------------------------------- text

function wellFormed(text) {
  return text.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, "?");
}

const LETTER = /[\p{L}\p{M}\p{N}_]/u;
const STANDALONE = [[0x2e80, 0x3100], [0x3100, 0x3130], [0x31a0, 0xa000], [0xf900, 0xfb00]];

/** 1 for a character of a word, 2 for a word of its own (CJK, kana and pictographs), 0 otherwise. */
function characterClass(character) {
  const point = character.codePointAt(0);
  if (point >= 0x1f000) return point < 0x40000 ? 2 : 0;
  if (!LETTER.test(character)) return 0;
  return STANDALONE.some(([low, high]) => point >= low && point < high) ? 2 : 1;
}

/** Words, and pairs of consecutive words with a zero character between them. */
function wordTerms(points) {
  const words = [];
  let word = "";
  for (const character of points) {
    const kind = characterClass(character);
    if (kind !== 1 && word) {
      words.push(word);
      word = "";
    }
    if (kind === 1) word += character;
    if (kind === 2) words.push(character);
  }
  if (word) words.push(word);
  return [...words, ...words.slice(1).map((next, i) => `${words[i]}\0${next}`)];
}

/** N-grams of characters; white space counts as one blank, and a text begins and ends with one. */
function runTerms(points, shortest, longest) {
  const kept = Array.from(points.join("").replace(/[\t-\r\x20\xa0]+/g, " ").replace(/^ | $/g, ""));
  const padded = [" ", ...kept, " "];
  const runs = [];
  for (let length = shortest; length <= longest; length++) {
    for (let i = 0; i + length <= padded.length; i++) runs.push(padded.slice(i, i + length).join(""));
  }
  return runs;
}

/** TF-IDF of the known terms, scaled to Euclidean length 1. */
function addGroup(group, terms, add) {
  const counts = new Map();
  for (const term of terms) {
    const place = group.places.get(term);
    if (place !== undefined) counts.set(place, (counts.get(place) ?? 0) + 1);
  }
  const values = [...counts].map(([place, count]) => [place, (1 + Math.log(count)) * group.idf[place - group.start]]);
  const length = Math.sqrt(values.reduce((sum, [, value]) => sum + value * value, 0));
  for (const [place, value] of values) add(place, value / length);
}

// ---------------------------------------------------------------- from features to probabilities

function weight(feature, k) {
  return PROGRAM.weights[feature * classes.length + k];
}

function logitsOf(entries) {
  const o = PROGRAM.bias.slice();
  for (const { feature, value, label } of entries) {
    if (feature < 0) o[label] += value;
    else for (let k = 0; k < o.length; k++) o[k] += value * weight(feature, k);
  }
  if (!o.every(Number.isFinite)) throw new Error("The row holds numbers so large that its logits overflow.");
  return o;
}

function softmax(o) {
  const top = Math.max(...o), shifted = o.map((v) => Math.exp(v - top));
  const mass = shifted.reduce((a, b) => a + b, 0);
  return shifted.map((v) => v / mass);
}

function argmax(values) {
  return values.reduce((best, value, k) => (value > values[best] ? k : best), 0);
}

function expit(x) {
  return x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x));
}

function shares(values) {
  const mass = values.reduce((a, b) => a + b, 0);
  return values.map((v) => v / mass);
}

const STEPS = {
  replaceZeros(step, P) {
    const zeros = P.filter((p) => p === 0).length;
    if (!zeros) return P;
    const least = Math.min(...P.filter((p) => p !== 0)) / 2;
    const share = Math.max(Math.min(step.floor / zeros, least), step.smallest);
    return shares(P.map((p) => (p === 0 ? share : p)));
  },
  scaleLogs: (step, P) => softmax(P.map((p, k) => step.scale[k] * Math.log(p) + step.bias[k])),
  mixLogs(step, P) {
    const logs = P.map(Math.log);
    return softmax(step.bias.map((b, k) => logs.reduce((sum, l, i) => sum + l * step.rows[i][k], 0) + b));
  },
  mixBoundedLogs(step, P) {
    const logs = P.map((p) => Math.max(Math.log(p), step.least));
    const bend = (l) => (step.curve === 0 ? 0 : step.curve * Math.log(1 - l));
    return softmax(
      step.bias.map((b, k) => logs.reduce((sum, l, i) => sum + l * step.rows[i][k], 0) + b - bend(logs[k])));
  },
  quadraticLogOdds(step, P) {
    const [first, second] = P.map((p) => Math.max(Math.log(p), step.least));
    const z = Math.min(Math.max(second - first, step.low), step.high);
    return softmax([0, step.linear * z + step.square * z * z + step.constant]);
  },
  isotonicShares(step, P) {
    const mapped = P.map((p, k) => interpolate(step.curves[k], p));
    const mass = mapped.reduce((a, b) => a + b, 0);
    return P.map((p, k) => (1 - step.kept) * (mass > 0 ? mapped[k] / mass : p) + step.kept * p);
  },
  shiftRates: (step, P) => shares(P.map((p, k) => p * step.ratio[k])),
};

function recalibrate(P) {
  return PROGRAM.steps.reduce((probabilities, step) => STEPS[step.kind](step, probabilities), P);
}

// ---------------------------------------------------------------- intervals

/** Covariance (q - 1, q - 1) of the differences of the logits to that of class 0. */
function logitCovariance(entries) {
  const { shift, scale, factor } = PROGRAM.covariance;
  const d = shift.length, q = classes.length;
  const z = shift.map((m, j) => -m / scale[j]);
  for (const { feature, value } of entries) if (feature >= 0) z[feature] += value / scale[feature];
  z.push(1);
  const parts = [];
  for (let c = 0; c < q - 1; c++) {
    const part = new Float64Array((c + 1) * (d + 1));
    for (let j = 0; j <= d; j++) {
      const row = c * (d + 1) + j, start = (row * (row + 1)) / 2;
      if (z[j] !== 0) for (let i = 0; i <= row; i++) part[i] += z[j] * factor[start + i];
    }
    parts.push(part);
  }
  return parts.map((a) => parts.map((b) => {
    let sum = 0;
    for (let i = 0; i < Math.min(a.length, b.length); i++) sum += a[i] * b[i];
    return sum;
  }));
}

/** The x for which a standard normal variable is between -x and x with the probability `level`. */
function normalQuantile(level) {
  let x = 0;
  for (let iteration = 0; iteration < 200; iteration++) {
    const density = Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI);
    let term = x, sum = 0;
    for (let k = 1; sum + term !== sum; k++) {
      sum += term;
      term *= (x * x) / (2 * k + 1);
    }
    const step = (level / 2 - density * sum) / density;
    x += step;
    if (Math.abs(step) <= 1e-15 * x) break;
  }
  return x;
}

// ---------------------------------------------------------------- tables for lookup

let gridsSeen = 0;
for (const term of PROGRAM.terms) {
  term.part = term.kind === "grid" ? inputs.length + gridsSeen++ : term.input;
  for (const group of [term, term.words, term.runs, term.left, term.right]) if (group?.places) group.places = new Map(group.places);
}

/** Terms of categories, and the number of their features. */
const LEVELS = PROGRAM.terms.filter((term) => term.kind === "level").map((term) => ({
  ...term,
  width: 1 + [...term.places.values()].reduce((a, b) => Math.max(a, b), Math.max(term.other, term.missing)),
}));
