// The changes of one column alone after which another class is the most probable. Nothing here uses the document.

const CHANGE_DAYS = 20000;
const HOURS = 48;
const DOUBLINGS = 24;
const HALVINGS = 60;

/** Columns of the page: an input, or an element of a model of arrays. */
function columnsOf() {
  const keys = new Set();
  return inputs.flatMap((input, at) => {
    const names = input.elements.length ? input.elements : [input.name];
    return names.map((name, element) => {
      let key = name;
      for (let copy = 2; keys.has(key); copy++) key = `${name}~${copy}`;
      keys.add(key);
      return describeColumn(input, at, input.elements.length ? element : -1, { name, key });
    });
  });
}

function describeColumn(input, at, element, names) {
  const terms = PROGRAM.terms.filter((term) => term.input === at || term.right?.input === at);
  const knots = element < 0 ? (terms.find((term) => term.kind === "curve")?.knots ?? []) : [];
  const kind = element < 0 ? input.kind : "number";
  const low = input.low ?? knots[0] ?? NaN, high = input.high ?? knots[knots.length - 1] ?? NaN;
  const column = { ...names, at, element, input, kind, terms, knots, low, high };
  column.breaks = element < 0 ? [...knots, ...terms.flatMap((term) => gridBreaks(term, at))] : [];
  column.smooth = input.smooth;
  column.whole = kind === "number" && seemsWhole(column);
  column.stops = kind === "number" ? sliderStops(column) : [];
  column.times = terms.some((term) => term.cycle === "day");
  column.levels = terms.find((term) => term.kind === "level") ?? null;
  column.tags = terms.find((term) => term.kind === "tags") ?? null;
  column.offset = terms.some((term) => term.kind === "offset");
  column.otherWord = otherWord(column);
  return column;
}

/** The numbers of an input between which an interaction is linear in it. */
function gridBreaks({ kind, left, right }, at) {
  const sides = kind === "grid" ? [left, right].filter((side) => side.input === at && side.value?.kind === "linear") : [];
  return sides.flatMap(({ knots, value }) => knots.map((z) => value.center + value.scale * z));
}

/** A text that is no level of a category and stands for "another value". */
function otherWord({ levels, input }) {
  let word = "another value";
  while (levels?.places.has(word) || input.missingWords.includes(word)) word += "*";
  return word;
}

/** What `predict` reads: cells by name, or a list for a model of arrays. */
function rowOf(columns, cells) {
  const row = Object.create(null), arrays = new Map();
  columns.forEach((column, i) => {
    const cell = cells[i];
    if (column.element >= 0) {
      if (!arrays.has(column.at)) arrays.set(column.at, []);
      arrays.get(column.at).push(cell);
      row[column.name] = cell;
    } else row[column.name] = cellValue(column, cell);
  });
  for (const [at, list] of arrays) {
    if (inputs.length === 1) return list;
    if (!inputs[at].elements.includes(inputs[at].name)) row[inputs[at].name] = list;
  }
  return row;
}

function replaced(cells, i, cell) {
  const copy = cells.slice();
  copy[i] = cell;
  return copy;
}

function cellValue({ kind, input, otherWord }, cell) {
  if (cell === null) return null;
  if (kind === "boolean") return cell ? input.trueWords[0] : input.falseWords[0];
  if ((kind === "category" || kind === "code") && cell === "") return otherWord;
  return cell;
}

/** The logits as a function of the value of one column, the others as they are. */
function logitsAlong(column, values) {
  const first = column.element < 0 ? -1 : column.terms[0].first + column.element;
  const isOwn = (entry) => first >= 0 && entry.part === column.at && entry.feature === first;
  const others = first < 0 ? PROGRAM.terms.filter((term) => !column.terms.includes(term)) : PROGRAM.terms;
  const rest = logitsOf(encode(values, others).filter((entry) => !isOwn(entry)));
  return (value) => {
    const o = rest.slice();
    const add = (feature, x) => {
      for (let k = 0; k < o.length; k++) o[k] += x * weight(feature, k);
    };
    if (first >= 0) {
      const { means, scale } = column.terms[0];
      add(first, (value - (means ? means[column.element] : 0)) / scale);
      return o;
    }
    for (const { feature, value: x, label } of encode(replaced(values, column.at, value), column.terms)) {
      if (feature < 0) o[label] += x;
      else add(feature, x);
    }
    return o;
  };
}

/**
 * Search each column for a change of it alone that makes another class the most probable. Yields between pieces of work.
 * @returns {{column, cell, to: number, probability: number, share: number, others: number}[]} at the end
 */
function* findChanges(columns, cells, target) {
  const row = rowOf(columns, cells), values = readRow(row);
  const before = argmax(predict(row).probabilities), found = [];
  const wins = (scores) => {
    const top = argmax(scores);
    return target < 0 ? top !== before : top === target;
  };
  for (const [i, column] of columns.entries()) {
    const search = SEARCHES[column.kind];
    if (!search) continue;
    const along = logitsAlong(column, values);
    const scores = (value) => {
      const o = along(value);
      return PROGRAM.steps.length ? recalibrate(softmax(o)).map(Math.log) : o;
    };
    const confirm = (cell) => {
      const { probabilities } = predict(rowOf(columns, replaced(cells, i, cell)));
      const to = argmax(probabilities);
      return wins(probabilities) ? { column, cell, to, probability: probabilities[to], others: 0, share: 0 } : null;
    };
    const change = yield* search({ column, cell: cells[i], scores, wins, confirm, target });
    if (change) found.push(change);
    yield;
  }
  return found;
}

const SEARCHES = {
  *number(task) {
    const { column, cell } = task;
    const { low, high, stops } = column, known = high > low;
    let from = cell ?? column.input.typical ?? 0;
    if (known) from = Math.min(Math.max(from, low), high);
    const grid = known ? [...stops, ...column.breaks].filter((x) => x >= low && x <= high) : doublings(from);
    grid.sort((a, b) => a - b);
    const changes = [
      yield* nearestNumber(task, from, grid.filter((x) => x > from)),
      yield* nearestNumber(task, from, grid.filter((x) => x < from).reverse()),
    ].filter(Boolean);
    for (const change of changes) {
      change.known = known;
      change.share = known
        ? Math.abs(trackShare(stops, change.cell) - trackShare(stops, from))
        : Math.abs(change.cell - from) / Math.max(1, Math.abs(from));
    }
    return changes.sort((a, b) => a.share - b.share)[0];
  },
  *boolean({ cell, confirm }) {
    const changes = (cell === null ? [true, false] : [!cell]).map(confirm).filter(Boolean);
    return mostProbable(changes);
  },
  *category(task) {
    return yield* nearestLevel(task);
  },
  *code(task) {
    return yield* nearestLevel(task);
  },
  *tags({ column, cell, scores, wins, confirm }) {
    const now = cell ?? [], changes = [];
    for (const tag of new Set([...now, ...column.input.levels])) {
      const tags = now.includes(tag) ? now.filter((other) => other !== tag) : [...now, tag];
      if (wins(scores(tags))) changes.push(confirm(tags));
      yield;
    }
    return mostProbable(changes.filter(Boolean));
  },
  *date({ column, cell, scores, wins, confirm }) {
    const from = cell === null ? column.input.typical : parseDate(cell), { low, high } = column;
    if (from === null || !(high > low)) return undefined;
    const start = column.times ? from : DAY * Math.floor(from / DAY);
    const moves = column.times ? Array.from({ length: HOURS - 1 }, (_, k) => (k + 1) * 3600) : [];
    for (let day = column.times ? HOURS / 24 : 1; day <= CHANGE_DAYS; day++) moves.push(day * DAY);
    for (const move of moves) {
      if (start + move > high && start - move < low) break;
      for (const t of [start + move, start - move]) {
        if (t < low || t > high || !wins(scores(t))) continue;
        const change = confirm(dateText(t, column.times));
        if (change) return Object.assign(change, { share: move / (high - low), known: true });
      }
      yield;
    }
    return undefined;
  },
};

function* nearestLevel({ column, cell, scores, wins, confirm }) {
  const changes = [];
  const seen = new Set();
  for (const level of column.input.levels) {
    const place = column.levels.places.get(READERS[column.kind](level, column.input));
    if (level === cell || place === undefined || seen.has(place)) continue;
    seen.add(place);
    if (wins(scores(READERS[column.kind](level, column.input)))) changes.push(confirm(level));
    yield;
  }
  return mostProbable(changes.filter(Boolean));
}

/** The change with the greatest probability of its class; `others` counts the other changes of the column. */
function mostProbable(changes) {
  const best = changes.sort((a, b) => b.probability - a.probability)[0];
  return best && Object.assign(best, { others: changes.length - 1 });
}

function doublings(from) {
  const scale = Math.max(1, Math.abs(from)), grid = [];
  for (let k = -DOUBLINGS / 2; k <= DOUBLINGS / 2; k++) grid.push(from + scale * 2 ** k, from - scale * 2 ** k);
  return grid;
}

/** The first number along `points` for which the class changes: logits are linear between points, without steps. */
function* nearestNumber(task, from, points) {
  const { column, scores, wins, confirm } = task;
  const limit = points[points.length - 1];
  let a = from, atA = scores(from);
  for (const b of points) {
    const atB = scores(b), test = (x) => wins(scores(x)), inside = insideShare(atA, atB, task.target);
    if (inside !== null || wins(atB)) {
      let edge = inside === null ? null : bisect(a, a + inside * (b - a), test), change = null;
      edge ??= bisect(a, b, test);
      if (edge !== null && edge !== from) shortNumber({ from, edge, limit, whole: column.whole, stops: column.stops }, (x) => (change = confirm(x)) !== null);
      if (change) return change;
    }
    [a, atA] = [b, atB];
    yield;
  }
  return null;
}

/**
 * The middle of the part of a segment on which the target has the greatest of linear scores; null where it has none, or
 * where any other class will do: then the end of the segment tells, as a class is the greatest on one interval only.
 */
function insideShare(atA, atB, target) {
  if (target < 0) return null;
  let low = 0, high = 1;
  for (let k = 0; k < atA.length; k++) {
    const start = atA[target] - atA[k], end = atB[target] - atB[k];
    if (start < 0 && end < 0) return null;
    if (start < 0) low = Math.max(low, start / (start - end));
    else if (end < 0) high = Math.min(high, start / (start - end));
  }
  return low < high ? (low + high) / 2 : null;
}

/** The end of the interval nearest to `a` on which the test holds, by bisection; null where it holds not at `b`. */
function bisect(a, b, test) {
  if (!test(b)) return null;
  for (let i = 0; i < HALVINGS; i++) {
    const middle = a + (b - a) / 2;
    if (middle === a || middle === b) break;
    if (test(middle)) b = middle;
    else a = middle;
  }
  return b;
}
