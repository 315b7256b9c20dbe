// The state of the page, and when what is computed.

const SAVE_AFTER = 400;
const SPEAK_AFTER = 800;
const SEARCH_AFTER = 200;
const WORK = 8;
const FILTER_FROM = 13;

const columns = columnsOf();
const start = columns.map(startCell);
const cells = start.slice();
const problems = columns.map(() => "");
const waiting = { frame: 0, save: 0, speak: 0, search: 0, work: 0 };
const alsoShown = [];
let search = null;

const controls = makeControls(columns, (i, cell, problem) => {
  cells[i] = cell;
  problems[i] = problem;
  changed();
});

/** Note a change; everything is shown in the next frame, and what takes longer after a pause. */
function changed() {
  if (!waiting.frame) waiting.frame = requestAnimationFrame(update);
  later("save", SAVE_AFTER, save);
  later("speak", SPEAK_AFTER, speak);
  stopSearch();
  later("search", SEARCH_AFTER, beginSearch);
}

function later(name, milliseconds, work) {
  clearTimeout(waiting[name]);
  waiting[name] = setTimeout(work, milliseconds);
}

function update() {
  const began = performance.now();
  waiting.frame = 0;
  const shownProblems = problems.map((problem, i) => problem || cellProblem(i));
  let row = null, error = "";
  if (shownProblems.every((problem) => !problem)) {
    row = rowOf(columns, cells);
    try {
      showRow(row);
    } catch (problem) {
      row = null;
      error = problem.message;
      const at = columns.findIndex((column) => column.name === problem.input);
      if (at >= 0) shownProblems[at] = error;
    }
  }
  for (const control of controls) control.show(cells, shownProblems);
  for (const show of alsoShown) show();
  const wrong = shownProblems.filter(Boolean).length;
  byId("problem").hidden = row !== null;
  if (row === null) {
    setText(byId("problem"), wrong ? `No prediction: correct the ${wrong === 1 ? "value that is" : `${wrong} values that are`} marked.` : `No prediction: ${error}`);
    setText(byId("summary-text"), "No prediction");
    place(byId("summary-fill"), 0, 0);
    delete byId("answer").dataset.label;
  }
  byId("results").classList.toggle("none", row === null);
  performance.clearMeasures("softreg update");
  performance.measure("softreg update", { start: began });
}

/** What is wrong with a cell by itself, as `predict` says it; empty where nothing is. */
function cellProblem(i) {
  const column = columns[i], { input } = column;
  if (column.element >= 0) return "";
  try {
    const value = READERS[input.kind](cellValue(column, cells[i]), input);
    return value === null && input.required ? "The model needs this column." : "";
  } catch (error) {
    return error.message;
  }
}

function showRow(row) {
  const P = predict(row).probabilities;
  showProbabilities(P, model.intervals ? intervals(row, LEVEL) : null);
  showContributions(columns, row, P);
  showReliability(P);
}

function speak() {
  const problem = byId("problem");
  setText(byId("live"), problem.hidden ? byId("sentence").textContent : problem.textContent);
}

// ---------------------------------------------------------------- changes of one column

function stopSearch() {
  clearTimeout(waiting.work);
  search = null;
  byId("changes").classList.add("old");
  for (const button of byId("change-list").querySelectorAll("button")) button.disabled = true;
}

function beginSearch() {
  if (waiting.frame || byId("results").classList.contains("none")) {
    byId("change-list").replaceChildren();
    setText(byId("change-state"), "There is no prediction that could change.");
    if (waiting.frame) later("search", SEARCH_AFTER, beginSearch);
    return;
  }
  const target = Number(byId("change-to").value);
  search = { target, work: findChanges(columns, cells.slice(), target) };
  continueSearch();
}

function continueSearch() {
  const end = performance.now() + WORK;
  const { target, work } = search;
  let step = { done: false };
  while (!step.done && performance.now() < end) step = work.next();
  if (!step.done) {
    waiting.work = setTimeout(continueSearch, 0);
    return;
  }
  byId("changes").classList.remove("old");
  if (classes[target] !== undefined && target === argmax(predict(rowOf(columns, cells)).probabilities)) {
    byId("change-list").replaceChildren();
    say(byId("change-state"), { label: classes[target] }, " is the most probable class already.");
  } else showChanges(step.value, cells, columns, target, applyChange);
  search = null;
}

function applyChange({ column, cell }) {
  const i = columns.indexOf(column);
  cells[i] = cell;
  problems[i] = "";
  changed();
  byId("answer").focus({ preventScroll: false });
}

// ---------------------------------------------------------------- the address

/** Cells that differ from the start: `name=value`, or `name` alone where the value is not known. */
function addressText() {
  return columns.flatMap((column, i) => {
    const text = cellText(column, cells[i]);
    if (problems[i] || text === cellText(column, start[i])) return [];
    const key = escaped(column.key);
    return text === null ? [key] : [`${key}=${escaped(text)}`];
  }).join("&");
}

function escaped(text) {
  return encodeURIComponent(wellFormed(text)).replaceAll("%20", "+").replaceAll("%2C", ",").replaceAll("%3A", ":");
}

function save() {
  const text = addressText();
  if (text === location.hash.slice(1)) return;
  try {
    history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
  } catch {
    // A page within another may not change its address; nothing else depends on it.
  }
}

/** Take the cells of the address, where unknown names and values that cannot be read are ignored. */
function restore() {
  start.forEach((cell, i) => {
    cells[i] = cell;
    problems[i] = "";
  });
  for (const part of location.hash.slice(1).split("&").filter(Boolean)) {
    const [, name, text] = /^([^=]*)(?:=(.*))?$/s.exec(part);
    try {
      const key = unescaped(name), i = columns.findIndex((column) => column.key === key);
      if (i < 0) continue;
      const column = columns[i];
      if (text !== undefined) cells[i] = cellOfText(column, unescaped(text)) ?? cells[i];
      else if (!column.input.required && column.kind !== "text" && column.kind !== "tags") cells[i] = null;
    } catch {
      // This part is no text.
    }
  }
  changed();
}

function unescaped(text) {
  return decodeURIComponent(text.replaceAll("+", "%20"));
}

// ---------------------------------------------------------------- the page

function fillMenu(menu, first) {
  menu.append(make("option", { value: -1 }, first), ...classes.map((label, k) => make("option", { value: k }, shown(label))));
}

function buildMenus() {
  fillMenu(byId("part-for"), "the most probable class");
  fillMenu(byId("part-against"), "the second most probable class");
  fillMenu(byId("change-to"), "any other class");
  fillMenu(byId("reliability-of"), "the most probable class");
  for (const [id, other] of [["part-for", "part-against"], ["part-against", "part-for"]]) {
    byId(id).addEventListener("change", () => {
      if (byId(other).value === byId(id).value) byId(other).value = "-1";
      changed();
    });
  }
  byId("change-to").addEventListener("change", changed);
  byId("reliability-of").addEventListener("change", changed);
  byId("part-all").addEventListener("click", () => {
    const pressed = byId("part-all").getAttribute("aria-pressed") !== "true";
    byId("part-all").setAttribute("aria-pressed", String(pressed));
    changed();
  });
  byId("reliability").hidden = !PROGRAM.reliability;
  if (PROGRAM.reliability) setText(byId("reliability-rows"), `From an evaluation with ${PROGRAM.reliability.rows.toLocaleString("en")} held-out rows.`);
}

function buildTexts() {
  const title = byId("title");
  if (model.target) title.append("Prediction of ", isolated(model.target));
  else title.append("Class probabilities");
  const count = `${columns.length} ${columns.length === 1 ? "column" : "columns"} and ${classes.length} classes`;
  setText(byId("subtitle"), `Softmax regression with ${count}${PROGRAM.steps.length ? ", with calibrated probabilities" : ""}.`);
  const known = columns.some((column) => column.high > column.low), numbers = columns.some((column) => column.kind === "number");
  setText(byId("form-note"), known ? "Sliders cover the range of training; they begin at the mean." : numbers ? "The model does not keep the range of its training values." : "");
  byId("bars").classList.toggle("plain", !model.intervals);
  setText(byId("part-note"), baselineText(columns));
  setText(byId("change-note"), changeNote(columns));
  setText(byId("footer"), `Made by softreg ${model.version}: ${count}. The model is part of this page; what you enter stays in it and is sent nowhere.`);
}

function buildFilter() {
  if (controls.length < FILTER_FROM) return;
  byId("filter-row").hidden = false;
  byId("filter").addEventListener("input", () => {
    const words = byId("filter").value.toLowerCase();
    let count = 0;
    for (const control of controls) {
      control.root.hidden = !control.names.toLowerCase().includes(words);
      count += control.root.hidden ? 0 : 1;
    }
    setText(byId("filter-count"), words ? `${count} of ${controls.length}` : "");
  });
}

/** A form longer than the window scrolls with the page, and the results stay in view beside it; else the form does. */
function buildLayout() {
  const form = byId("form");
  const compare = () => document.body.classList.toggle("long-form", form.offsetHeight > innerHeight);
  new ResizeObserver(compare).observe(form);
  addEventListener("resize", compare);
}

function buildTheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)"), button = byId("theme");
  const show = (isDark) => button.setAttribute("aria-pressed", String(isDark));
  show(dark.matches);
  dark.addEventListener("change", () => {
    if (!document.documentElement.dataset.theme) show(dark.matches);
  });
  button.addEventListener("click", () => {
    const isDark = button.getAttribute("aria-pressed") !== "true";
    document.documentElement.dataset.theme = isDark ? "dark" : "light";
    show(isDark);
  });
}

byId("columns").append(...controls.map((control) => control.root));
buildTexts();
buildMenus();
buildFilter();
buildTheme();
buildLayout();
byId("skip").addEventListener("click", () => byId("answer").focus());
byId("reset").addEventListener("click", () => {
  start.forEach((cell, i) => {
    cells[i] = cell;
    problems[i] = "";
  });
  changed();
});
addEventListener("hashchange", restore);
restore();
