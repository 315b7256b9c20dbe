// A control for each column. Text of the model enters the document as text only.

const MENU_LEVELS = 30;
const LIST_LEVELS = 2000;
const ELEMENT_FIELDS = 50;
const DATE_STOPS = 200;

/** An element with properties, attributes (with a hyphen, or `role`, `for`) and children; strings become text. */
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role" || name === "for" || name === "list") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

/** Text of the model, whose direction of writing does not change the text around it. */
function isolated(text) {
  return make("bdi", {}, shown(text));
}

/** A label or level as text, in quotes where it is empty or blanks and signs could be overlooked. */
function shown(value) {
  const text = String(value);
  return text === "" || text !== trim(text) || /[\0-\x1f\x7f\u2028\u2029]/.test(text) ? JSON.stringify(text) : text;
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Whether a date can be read, as seconds; null where not. */
function secondsOf(cell) {
  return cell === null ? null : parseDate(cell);
}

/** The value with which a column begins. */
function startCell(column) {
  const { kind, input, low, high } = column;
  const typical = input.typical ?? (high > low ? low / 2 + high / 2 : (low || 0));
  switch (kind) {
    case "number": {
      if (column.element >= 0 || !(high > low)) return column.element >= 0 ? 0 : (input.typical ?? 0);
      const near = column.whole ? Math.round(typical) : roundTo(typical, unitOf((high - low) / 100));
      const start = Number.isFinite(near) ? near : typical;
      return input.missingNumbers.includes(start) ? typical : Math.min(Math.max(start, low), high);
    }
    case "boolean": return input.typical >= 0.5;
    case "category": case "code": return input.levels.length ? input.levels[0] : "";
    case "date": return input.typical === null ? null : dateText(column.times ? 60 * Math.floor(input.typical / 60) : input.typical, column.times);
    case "text": return "";
    case "tags": return [];
    default: {
      const means = column.terms.find((term) => term.kind === "vector")?.means ?? new Array(input.length).fill(0);
      return means.map((mean) => Number(mean.toPrecision(6)));
    }
  }
}

/** A cell as text of the address; null where it is not known. */
function cellText({ kind }, cell) {
  if (cell === null) return null;
  if (kind === "tags") return JSON.stringify(cell);
  return Array.isArray(cell) ? cell.join(",") : String(cell);
}

/** The cell of a text of the address; undefined where it is not one of the column's kind. */
function cellOfText({ kind, input }, text) {
  switch (kind) {
    case "number": return NUMBER.test(text) && Number.isFinite(Number(text)) ? Number(text) : undefined;
    case "boolean": return text === "true" || text === "false" ? text === "true" : undefined;
    case "date": return parseDate(text) === null ? undefined : text;
    case "vector": return numbersOf(text, input.length) ?? undefined;
    case "tags": {
      try {
        const tags = JSON.parse(text);
        return Array.isArray(tags) && tags.every((tag) => typeof tag === "string") ? tags : undefined;
      } catch {
        return undefined;
      }
    }
    default: return text;
  }
}

/** Numbers separated by blanks, commas or semicolons, in brackets or not; null where there are not `length` of them. */
function numbersOf(text, length) {
  const words = text.replace(/^\s*\[|\]\s*$/g, "").split(/[\s,;]+/).filter(Boolean);
  const numbers = words.map((word) => (NUMBER.test(word) ? Number(word) : NaN));
  return numbers.length === length && numbers.every(Number.isFinite) ? numbers : null;
}

/**
 * Controls of all columns, and their frames in the document.
 * @param edit called as edit(i, cell, problem) for each change
 * @returns {{root: HTMLElement, names: string, show: (function(cells, problems): void)}[]}
 */
function makeControls(columns, edit) {
  const controls = [];
  for (let i = 0; i < columns.length; i++) {
    const column = columns[i];
    if (column.element >= 0 && column.input.length > ELEMENT_FIELDS) {
      controls.push(elementsControl(columns, i, edit));
      i += column.input.length - 1;
    } else controls.push(columnControl(column, i, edit));
  }
  return controls;
}

function columnControl(column, i, edit) {
  const frame = makeFrame(column.name, `c${i}`);
  const change = (cell, problem = "") => edit(i, cell, problem);
  const body = BODIES[column.kind](column, frame, change);
  frame.body.append(...body.elements);
  const canMiss = !column.input.required && column.kind !== "text" && column.kind !== "tags";
  let kept = null;
  const unknown = make("input", { type: "checkbox", id: `${frame.id}-unknown` });
  if (canMiss) {
    const words = make("span", { id: `${frame.id}-missing` }, "not known");
    unknown.setAttribute("aria-labelledby", `${frame.id}-missing ${frame.id}-name`);
    frame.head.append(make("label", { className: "unknown" }, unknown, words));
    unknown.addEventListener("change", () => change(unknown.checked ? null : (kept ?? startCell(column))));
  }
  const show = (cells, problems) => {
    const cell = cells[i], missing = cell === null && canMiss && !problems[i];
    if (cell !== null) kept = cell;
    unknown.checked = missing;
    frame.root.classList.toggle("missing", missing);
    if (!problems[i]) body.show(cell);
    frame.note(cell === null ? "" : body.note(cell), problems[i]);
  };
  return { root: frame.root, names: column.name, show, fields: body.fields };
}

function makeFrame(name, id) {
  const title = make("span", { id: `${id}-name`, className: "name" }, isolated(name));
  const head = make("div", { className: "head" }, title);
  const body = make("div", { className: "body" });
  const hint = make("p", { id: `${id}-hint`, className: "hint", hidden: true });
  const problem = make("p", { id: `${id}-problem`, className: "problem", hidden: true });
  const root = make("div", { className: "column", role: "group", "aria-labelledby": `${id}-name` }, head, body, hint, problem);
  const fields = [];
  return {
    root, head, body, id, name,
    /** Name a field after the column, and join it to its notes. */
    field(element, part = "") {
      if (part) element.setAttribute("aria-label", `${shown(name)}: ${part}`);
      else element.setAttribute("aria-labelledby", `${id}-name`);
      element.setAttribute("aria-describedby", `${id}-hint ${id}-problem`);
      fields.push(element);
      return element;
    },
    note(text, error) {
      for (const [element, words] of [[hint, text], [problem, error]]) {
        setText(element, words);
        element.hidden = words === "";
      }
      for (const field of fields) {
        if (error) field.setAttribute("aria-invalid", "true");
        else field.removeAttribute("aria-invalid");
      }
    },
  };
}

const BODIES = {
  number(column, frame, change) {
    const { stops, low, high, input } = column;
    const field = frame.field(make("input", { type: "number", step: numberStep(column), inputMode: "decimal", autocomplete: "off", required: input.required }));
    const slider = stops.length ? frame.field(sliderOf(stops.length), "slider") : null;
    const place = (cell) => {
      if (!slider) return;
      slider.value = nearestStop(stops, cell ?? input.typical ?? low);
      slider.setAttribute("aria-valuetext", cell === null ? "not known" : plain(cell));
    };
    slider?.addEventListener("input", () => change(stops[slider.valueAsNumber]));
    field.addEventListener("input", () => {
      const value = field.valueAsNumber;
      if (Number.isFinite(value)) change(value);
      else change(null, `Enter a number${input.required ? "" : ", or mark the column as not known"}.`);
    });
    return {
      elements: slider ? [slider, field] : [field],
      fields: [slider, field],
      show(cell) {
        if (cell === null) field.value = "";
        else if (field.valueAsNumber !== cell) field.value = String(cell);
        place(cell);
      },
      note(cell) {
        if (input.missingNumbers.includes(cell)) return `${plain(cell)} stands for a missing value.`;
        if (cell < low || cell > high) return `Training had ${plain(low)} to ${plain(high)}; the model uses ${plain(cell < low ? low : high)}.`;
        if (column.offset) return "This number is added to the logits as it is.";
        return input.note;
      },
    };
  },
  boolean(column, frame, change) {
    const radios = [false, true].map((cell) => {
      const radio = make("input", { type: "radio", name: frame.id, id: `${frame.id}-${cell}` });
      radio.addEventListener("change", () => change(cell));
      return radio;
    });
    const labels = radios.map((radio, k) => make("label", {}, radio, make("span", {}, isolated(column.input.levels[k]))));
    return {
      elements: [make("div", { className: "segments" }, ...labels)],
      fields: radios,
      show: (cell) => radios.forEach((radio, k) => (radio.checked = cell === (k === 1))),
      note: () => column.input.note,
    };
  },
  category: (column, frame, change) => levelBody(column, frame, change),
  code: (column, frame, change) => levelBody(column, frame, change),
  date(column, frame, change) {
    const field = frame.field(make("input", { type: column.times ? "datetime-local" : "date", max: column.times ? "9999-12-31T23:59" : "9999-12-31" }));
    if (column.times) field.step = 1;
    const { low, high } = column;
    const known = high > low, unit = column.times ? 60 : DAY;
    const stops = known ? [...new Set(Array.from({ length: DATE_STOPS + 1 }, (_, k) => unit * Math.floor((low + (k / DATE_STOPS) * (high - low)) / unit)))] : [];
    const slider = stops.length > 1 ? frame.field(sliderOf(stops.length), "slider") : null;
    slider?.addEventListener("input", () => change(dateText(stops[slider.valueAsNumber], column.times)));
    field.addEventListener("input", () => {
      if (field.value) change(field.value);
      else change(null, "Enter a whole date, or mark the column as not known.");
    });
    return {
      elements: slider ? [slider, field] : [field],
      fields: [slider, field],
      show(cell) {
        const seconds = secondsOf(cell), text = seconds === null ? "" : dateText(seconds, column.times);
        if (field.value !== text && secondsOf(field.value || null) !== seconds) field.value = text;
        if (!slider) return;
        slider.value = nearestStop(stops, seconds ?? column.input.typical);
        slider.setAttribute("aria-valuetext", text.replace("T", " ") || "not known");
      },
      note: () => column.input.note,
    };
  },
  text(column, frame, change) {
    const field = frame.field(make("textarea", { rows: 4 }));
    field.addEventListener("input", () => change(field.value));
    return {
      elements: [field],
      fields: [field],
      show(cell) {
        if (field.value !== cell) field.value = cell ?? "";
      },
      note: (cell) => (trim(cell) === "" ? "Leave it empty where there is no text." : column.input.note),
    };
  },
  tags: tagsBody,
  vector(column, frame, change) {
    const { length } = column.input, field = frame.field(numbersField(length));
    field.addEventListener("input", () => {
      const numbers = numbersOf(field.value, length);
      change(numbers, numbers ? "" : `Enter ${length} numbers, separated by blanks or commas.`);
    });
    return {
      elements: [field],
      fields: [field],
      show(cell) {
        if (cell === null) field.value = "";
        else if (String(numbersOf(field.value, length)) !== String(cell)) field.value = cell.join(", ");
      },
      note: () => `${length} numbers. ${column.input.note}`,
    };
  },
};

function numberStep({ whole, low, high, stops, knots }) {
  if (whole) return 1;
  if (!(high > low)) return "any";
  const gap = knots.length > 2 ? stops[Math.ceil(0.75 * (stops.length - 1))] - stops[Math.floor(0.25 * (stops.length - 1))] : high - low;
  const step = niceStep(gap / 100);
  return step > 0 && Number.isFinite(step) ? step : "any";
}

function sliderOf(count) {
  return make("input", { type: "range", min: 0, max: count - 1, step: 1 });
}

function numbersField(length) {
  return make("textarea", { rows: Math.min(6, 1 + Math.ceil(length / 8)), spellcheck: false });
}

/** What a level means to the model where it is not one of training as it is written. */
function levelNote({ kind, input, levels }, cell) {
  if (input.levels.includes(cell)) return input.note;
  const value = cell === "" ? "" : READERS[kind](cell, input);
  if (value === null) return "This text stands for a missing value.";
  if (levels.places.has(value)) return input.note;
  return `Not a level of training: ${levels.other >= 0 ? "the model counts it as a rare level" : "no level has an effect"}.`;
}

/** A menu of levels with "another value"; a field with suggestions where there are many. */
function levelBody(column, frame, change) {
  const { levels } = column.input;
  const note = (cell) => levelNote(column, cell);
  if (levels.length > MENU_LEVELS) return suggestionsBody(column, frame, change, note);
  const menu = frame.field(make("select", {}, ...levels.map((level, k) => make("option", { value: k }, shown(level))), make("option", { value: levels.length }, "another value\u2026")));
  const field = frame.field(make("input", { type: "text", placeholder: "any other text", autocomplete: "off", hidden: true }), "another value");
  const blank = make("option", { value: -1, hidden: true }, "not known");
  menu.append(blank);
  menu.addEventListener("change", () => {
    const k = Number(menu.value);
    change(k < levels.length ? levels[k] : "");
    field.hidden = k < levels.length;
    if (!field.hidden) field.focus();
  });
  field.addEventListener("input", () => change(field.value));
  return {
    elements: [menu, field],
    fields: [menu, field],
    show(cell) {
      const k = cell === null ? -1 : levels.indexOf(cell), free = cell !== null && k < 0;
      menu.value = String(free ? levels.length : k);
      field.hidden = !free;
      if (field.value !== (free ? cell : "")) field.value = free ? cell : "";
    },
    note,
  };
}

function suggestionsBody(column, frame, change, note) {
  const { levels } = column.input, byText = new Map(levels.map((level) => [shown(level), level]));
  const list = make("datalist", { id: `${frame.id}-list` }, ...levels.slice(0, LIST_LEVELS).map((level) => make("option", { value: shown(level) })));
  const field = frame.field(make("input", { type: "text", list: list.id, autocomplete: "off", spellcheck: false }));
  field.addEventListener("input", () => change(byText.get(field.value) ?? field.value));
  field.addEventListener("focus", () => field.select());
  return {
    elements: [field, list],
    fields: [field],
    show(cell) {
      if (cell === null) field.value = "";
      else if ((byText.get(field.value) ?? field.value) !== cell) field.value = levels.includes(cell) ? shown(cell) : cell;
    },
    note: (cell) => (levels.includes(cell) ? `${levels.length} levels; type to search.` : note(cell)),
  };
}

function tagsBody(column, frame, change) {
  const { levels } = column.input, byText = new Map(levels.map((level) => [shown(level), level]));
  const chips = make("ul", { className: "chips", "aria-label": `${shown(frame.name)}: chosen tags` });
  const list = make("datalist", { id: `${frame.id}-list` }, ...levels.slice(0, LIST_LEVELS).map((level) => make("option", { value: shown(level) })));
  const field = frame.field(make("input", { type: "text", list: list.id, autocomplete: "off", placeholder: "tag" }), "tag to add");
  const button = make("button", { type: "button", "aria-label": `${shown(frame.name)}: add the tag` }, "Add");
  let now = [], drawn = "";
  const add = () => {
    const tag = byText.get(field.value) ?? field.value;
    if (tag !== "") change(now.includes(tag) ? now : [...now, tag]);
    field.value = "";
  };
  button.addEventListener("click", add);
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    add();
  });
  field.addEventListener("input", (event) => {
    const chosen = event.inputType === undefined || event.inputType === "insertReplacementText";
    if (chosen && byText.has(field.value)) add();
  });
  const chipOf = (tag) => {
    const remove = make("button", { type: "button", className: levels.includes(tag) ? "" : "new", "aria-label": `remove ${shown(tag)}` }, isolated(tag), make("span", { "aria-hidden": "true" }, " \u00d7"));
    remove.addEventListener("click", () => {
      change(now.filter((other) => other !== tag));
      field.focus();
    });
    return make("li", {}, remove);
  };
  return {
    elements: [chips, make("div", { className: "add" }, field, button), list],
    fields: [field],
    show(cell) {
      now = cell ?? [];
      if (JSON.stringify(now) === drawn) return;
      drawn = JSON.stringify(now);
      chips.replaceChildren(...now.map(chipOf));
    },
    note(cell) {
      const strange = cell.filter((tag) => !levels.includes(tag)).length;
      if (strange) return `${strange === 1 ? "One tag is" : `${strange} tags are`} not among those of the model.`;
      return `${levels.length} known tags. ${column.input.note}`;
    },
  };
}

/** One field for all elements of a model of arrays that has too many of them for fields of their own. */
function elementsControl(columns, first, edit) {
  const { input } = columns[first], { length } = input, frame = makeFrame(input.name, `c${first}`);
  const field = frame.field(numbersField(length));
  frame.body.append(field);
  field.addEventListener("input", () => {
    const numbers = numbersOf(field.value, length);
    const problem = numbers ? "" : `Enter ${length} numbers, separated by blanks or commas.`;
    for (let k = 0; k < length; k++) edit(first + k, numbers ? numbers[k] : null, k ? "" : problem);
  });
  return {
    root: frame.root, names: input.name, fields: [field],
    show(cells, problems) {
      const numbers = cells.slice(first, first + length);
      if (!problems[first] && String(numbersOf(field.value, length)) !== String(numbers)) field.value = numbers.join(", ");
      frame.note(`${length} numbers, in the order of the features. ${input.note}`, problems[first]);
    },
  };
}
