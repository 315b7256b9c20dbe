// What the page shows of a row: probabilities, contributions, changes and reliability.

const MANY_CLASSES = 10;
const PART_BARS = 10;
const CHANGES_SHOWN = 6;
const LEVEL = 0.95;
const THOUSAND = 1000;

const byId = (id) => document.getElementById(id);

/** Replace the content of an element; strings become text, and {label} a label in quotes that is isolated. */
function say(element, ...parts) {
  const nodes = parts.map((part) => (typeof part === "string" ? part : quoted(part.label)));
  const text = nodes.map((node) => (typeof node === "string" ? node : node.textContent)).join("");
  if (element.textContent !== text) element.replaceChildren(...nodes);
}

function quoted(label) {
  const text = shown(label), marks = text === String(label) ? ["\u201c", "\u201d"] : ["", ""];
  return make("span", { className: "label" }, marks[0], make("bdi", {}, text), marks[1]);
}

/** Rows of a list that are made once and used again, so that dragging moves no elements. */
class Rows {
  constructor(list, build) {
    this.list = list;
    this.build = build;
    this.rows = [];
  }

  show(count, fill) {
    while (this.rows.length < count) {
      const row = this.build();
      this.rows.push(row);
      this.list.append(row.root);
    }
    this.rows.forEach((row, k) => {
      row.root.hidden = k >= count;
      if (k < count) fill(row, k);
    });
  }
}

function barRow() {
  const name = make("bdi"), value = make("span", { className: "value" }), detail = make("span", { className: "detail" });
  const fill = make("span", { className: "fill" }), range = make("span", { className: "range" });
  const track = make("span", { className: "track", "aria-hidden": "true" }, fill, range);
  const root = make("li", {}, make("span", { className: "name" }, name), track, value, detail);
  return { root, name, value, detail, fill, range };
}

function place(element, from, to) {
  element.style.left = `${100 * from}%`;
  element.style.width = `${100 * Math.max(to - from, 0)}%`;
}

const barRows = new Rows(byId("bars"), barRow);
const partRows = new Rows(byId("part-bars"), barRow);

/** Numbers of the classes that have bars, and of those that are summed. */
function shownClasses(P) {
  const order = P.map((_, k) => k);
  if (P.length <= MANY_CLASSES) return { order, others: [] };
  order.sort((a, b) => P[b] - P[a] || a - b);
  return { order: order.slice(0, MANY_CLASSES), others: order.slice(MANY_CLASSES) };
}

function showProbabilities(P, limits) {
  const top = argmax(P), { order, others } = shownClasses(P);
  barRows.show(order.length + (others.length ? 1 : 0), (row, at) => {
    const k = order[at], p = k === undefined ? others.reduce((sum, l) => sum + P[l], 0) : P[k];
    setText(row.name, k === undefined ? `${others.length} other classes` : shown(classes[k]));
    setText(row.value, percent(p));
    row.root.classList.toggle("top", k === top);
    row.root.dataset.probability = p;
    row.root.dataset.place = k ?? "others";
    row.root.title = `${row.name.textContent}: ${p}`;
    place(row.fill, 0, p);
    const known = limits !== null && k !== undefined;
    row.range.hidden = !known;
    if (known) place(row.range, limits.lower[k], limits.upper[k]);
    setText(row.detail, known ? `${percent(limits.lower[k])} to ${percent(limits.upper[k])}` : "");
    if (known) Object.assign(row.root.dataset, { lower: limits.lower[k], upper: limits.upper[k] });
  });
  byId("answer").dataset.label = JSON.stringify(classes[top]);
  showSentence(P, limits, top);
}

function showSentence(P, limits, top) {
  const between = limits ? ` (95% interval ${percent(limits.lower[top])} to ${percent(limits.upper[top])})` : "";
  const what = model.target ? [" of ", { label: model.target }] : [];
  say(byId("sentence"), "The most probable class", ...what, " is ", { label: classes[top] }, `, with a probability of ${percent(P[top])}${between}.`);
  const count = Math.round(THOUSAND * P[top]);
  const about = count === THOUSAND && P[top] < 1 ? "nearly all" : `about ${count}`;
  const range = limits ? " The intervals cover the uncertainty of the weights, given the strength of the penalty where there is one, that comes from the number of training rows; they do not cover errors of the form of the model." : "";
  say(byId("meaning"), `If the model is right, ${about} of 1000 rows with these values are `, { label: classes[top] }, `.${range}`);
  setText(byId("summary-text"), `${shown(classes[top])} ${percent(P[top])}`);
  place(byId("summary-fill"), 0, P[top]);
}

/** The classes that contributions compare, of which the user may leave one or both to the probabilities. */
function comparedClasses(P) {
  const first = Number(byId("part-for").value), second = Number(byId("part-against").value);
  const order = P.map((_, k) => k).sort((a, b) => P[b] - P[a] || a - b);
  const a = first >= 0 ? first : order.find((k) => k !== second);
  return [a, second >= 0 ? second : order.find((k) => k !== a)];
}

/** Columns, and the interactions as if they were columns. */
function partsOf(columns) {
  return [...columns, ...interactions.map(({ name }, k) => ({ name, key: `${name} (interaction)`, at: inputs.length + k, element: -1 }))];
}

/** What each part adds to each logit; an element of a model of arrays is a column. */
function columnParts(columns, row) {
  const parts = contributions(row), values = readRow(row);
  return columns.map(({ at, element, terms }) => {
    if (element < 0) return parts[at];
    const { first, means, scale } = terms[0], x = (values[at][element] - (means ? means[element] : 0)) / scale;
    return classes.map((_, k) => x * weight(first + element, k));
  });
}

function showContributions(columns, row, P) {
  const [a, b] = comparedClasses(P), o = logits(row);
  const shownParts = partsOf(columns);
  const parts = columnParts(shownParts, row).map((part, i) => ({ column: shownParts[i], size: part[a] - part[b] }));
  const total = o[a] - o[b], sum = parts.reduce((all, part) => all + part.size, 0);
  parts.sort((one, other) => Math.abs(other.size) - Math.abs(one.size) || one.column.at - other.column.at);
  const all = byId("part-all").getAttribute("aria-pressed") === "true" || parts.length <= PART_BARS + 1;
  const drawn = all ? parts : parts.slice(0, PART_BARS);
  const rest = parts.slice(drawn.length);
  if (rest.length) drawn.push({ column: null, size: rest.reduce((sum_, part) => sum_ + part.size, 0) });
  const largest = Math.max(...drawn.map((part) => Math.abs(part.size)), 1e-300);
  partRows.show(drawn.length, (bar, k) => {
    const { column, size } = drawn[k], half = Math.abs(size) / largest / 2;
    setText(bar.name, column ? shown(column.name) : `${rest.length} other columns`);
    setText(bar.value, signed(size));
    bar.root.classList.toggle("negative", size < 0);
    bar.root.title = `${bar.name.textContent}: ${size}`;
    bar.root.dataset.contribution = size;
    bar.root.dataset.column = column ? column.key : "";
    bar.range.hidden = true;
    place(bar.fill, size < 0 ? 0.5 - half : 0.5, size < 0 ? 0.5 : 0.5 + half);
  });
  byId("part-more").hidden = parts.length <= PART_BARS + 1;
  const before = PROGRAM.steps.length ? ", before calibration" : "";
  say(byId("part-sum"), "Log-odds of ", { label: classes[a] }, " against ", { label: classes[b] }, `${before}: ${signed(total)} = ${signed(total - sum)} of the reference row ${sum < 0 ? "\u2212" : "+"}\u00a0${signed(Math.abs(sum)).replace("+", "")} of the columns.`);
  byId("parts").dataset.total = total;
}

/** What the contributions are relative to, for the kinds of columns of this model. */
function baselineText(columns) {
  const has = (...kinds) => columns.some((column) => column.element < 0 && kinds.includes(column.kind));
  const numbers = columns.filter((column) => column.element < 0 && column.kind === "number" && !column.offset);
  const byMedian = numbers.filter((column) => column.knots.length && column.terms.every((term) => term.kind !== "linear"));
  const curves = numbers.filter((column) => column.smooth);
  const both = numbers.filter((column) => !column.smooth && column.knots.length && column.terms.some((term) => term.kind === "linear"));
  const plainNumbers = numbers.length - byMedian.length - both.length;
  const parts = [];
  if (plainNumbers) parts.push(numbers.length > plainNumbers ? "most numbers have their training mean" : "numbers have their training mean");
  if (byMedian.length) parts.push(`${plainNumbers || both.length ? "those with a heavy tail" : "numbers"} have their training median`);
  if (both.length) parts.push("numbers with two terms have their mean in one and their median in the other");
  if (curves.length) parts.push("curves have their mean over the training rows");
  if (has("boolean")) parts.push("booleans have their training share");
  if (has("category", "code")) parts.push("categories have the mean over their levels, each counted once");
  if (interactions.length) parts.push("interactions with a number are 0, others the product of both columns");
  if (has("date")) parts.push("dates have their training mean and no effect of the calendar");
  if (has("tags")) parts.push("there are no tags");
  if (has("text")) parts.push("texts have no words");
  if (has("vector")) parts.push("vectors have their training mean");
  if (columns.some((column) => column.element >= 0)) parts.push("all elements are 0");
  if (columns.some((column) => column.offset)) parts.push("added numbers are 0");
  const last = parts.pop(), list = parts.length ? `${parts.join(", ")}${parts.length > 1 ? "," : ""} and ${last}` : last;
  return `Relative to a reference row in which ${list}. A bar to the right raises the log-odds of the first class against the second, one to the left lowers them; 0.69 doubles or halves the odds. A contribution describes the model, not a cause.`;
}

function cellWords(column, cell) {
  if (cell === null) return "not known";
  if (column.kind === "boolean") return shown(column.input.levels[cell ? 1 : 0]);
  if (column.kind === "tags") return cell.length ? cell.map(shown).join(", ") : "no tags";
  if (column.kind === "category" || column.kind === "code") return cell === "" ? "another value" : shown(cell);
  return typeof cell === "number" ? plain(cell) : shown(cell).replace("T", " ");
}

/** The changes that are listed: numbers and dates by the way that they move, others by the probability they lead to. */
function listedChanges(found) {
  const group = (change) => (change.column.kind === "number" || change.column.kind === "date" ? (change.known ? 0 : 2) : 1);
  const moved = found.filter((change) => group(change) === 0).sort((a, b) => a.share - b.share);
  const chosen = found.filter((change) => group(change) === 1).sort((a, b) => b.probability - a.probability);
  const far = found.filter((change) => group(change) === 2).sort((a, b) => a.share - b.share);
  const half = Math.max(CHANGES_SHOWN / 2, CHANGES_SHOWN - chosen.length);
  const first = moved.slice(0, half);
  return [...first, ...chosen, ...far].slice(0, CHANGES_SHOWN);
}

function showChanges(found, cells, columns, target, apply) {
  const listed = listedChanges(found), left = found.length - listed.length;
  const goal = target < 0 ? ["another class"] : [{ label: classes[target] }];
  if (!found.length) say(byId("change-state"), "No change of a single column makes ", ...goal, " the most probable class.");
  else say(byId("change-state"), "Each of these changes alone makes ", ...goal, " the most probable class", left ? `; ${left} more ${left === 1 ? "column has" : "columns have"} such a change.` : ".");
  byId("change-list").replaceChildren(...listed.map((change) => changeItem(change, cells[columns.indexOf(change.column)], apply)));
}

function changeItem(change, now, apply) {
  const { column, cell, to, probability, others } = change;
  const words = make("span", { className: "change" }, make("b", {}, isolated(column.name)), " ", ...moveOf(column, now, cell));
  const more = others ? `; ${others} other ${others === 1 ? "value does" : "values do"} so, too` : "";
  const result = make("span", { className: "quiet small" }, quoted(classes[to]), ` ${percent(probability)}${more}`);
  const button = make("button", { type: "button" }, "Apply");
  button.setAttribute("aria-label", `Apply: ${shown(column.name)} ${cellWords(column, cell)}`);
  Object.assign(button.dataset, { column: column.key, cell: JSON.stringify(cell), to, probability });
  button.addEventListener("click", () => apply(change));
  return make("li", {}, make("div", {}, words, result), button);
}

function moveOf(column, now, cell) {
  if (column.kind === "tags") {
    const tag = cell.find((one) => !(now ?? []).includes(one)) ?? now.find((one) => !cell.includes(one));
    return [cell.includes(tag) ? "with " : "without ", isolated(tag)];
  }
  const value = (shown_) => make("bdi", {}, shown_);
  return [value(cellWords(column, now)), " \u2192 ", value(cellWords(column, cell))];
}

function changeNote(columns) {
  const skipped = [];
  if (columns.some((column) => column.kind === "text")) skipped.push("free text");
  if (columns.some((column) => column.kind === "vector")) skipped.push("vectors");
  const parts = ["Each change is computed by the model with all other columns as they are. Numbers and dates: the nearest value, rounded to few digits, within the range of training where it is known; others: the value with the greatest probability."];
  if (skipped.length) parts.push(`${skipped.join(" and ").replace(/^./, (c) => c.toUpperCase())} ${skipped[skipped.length - 1] === "vectors" ? "are" : "is"} not searched.`);
  parts.push("It says what the model would answer, not what would happen.");
  return parts.join(" ");
}

/** The bin of held-out rows whose predicted probabilities are nearest to p; null where there is none. */
function nearestBin(bins, p) {
  const away = (bin) => Math.max(bin.lower - p, p - bin.upper, 0);
  const filled = bins.filter((bin) => bin.rows > 0);
  return filled.reduce((best, bin) => (best === null || away(bin) < away(best) ? bin : best), null);
}

function showReliability(P) {
  if (!PROGRAM.reliability) return;
  const chosen = Number(byId("reliability-of").value), k = chosen >= 0 ? chosen : argmax(P);
  const bin = nearestBin(PROGRAM.reliability.bins[k], P[k]), element = byId("reliability-text");
  if (bin === null) {
    say(element, "The evaluation keeps no figures of ", { label: classes[k] }, ".");
    return;
  }
  const near = P[k] >= bin.lower && P[k] <= bin.upper, one = bin.rows === 1;
  const start = near ? [] : ["No held-out rows are compared near ", percent(P[k]), "; the nearest group: "];
  const between = `between ${share(bin.lower)} and ${share(bin.upper)} (mean ${share(bin.predicted)})`;
  const limits = `95% interval of that share: ${share(bin.low)} to ${share(bin.high)}`;
  say(element, ...start, `${one ? "Of the one held-out row" : `Of the ${bin.rows} held-out rows`} with a predicted probability of `, { label: classes[k] }, ` ${between}, ${share(bin.observed)} ${one ? "was" : "were"} `, { label: classes[k] }, ` (${limits}).`);
}
