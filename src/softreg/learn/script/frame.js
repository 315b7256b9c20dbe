/* The frame of the page, and the contract with the parts.
 *
 * A PART is a folder parts/NAME, and NAME stands in PARTS of page.py. The folder holds NAME.js, its texts en.json and
 * zh.json (same keys, same placeholders) and, if need be, helpers in other .js files, which come first, in alphabetical
 * order, and share its block scope, and NAME.css. Texts have the keys "title" (heading) and "short" (table of contents).
 * NAME.js calls
 *
 *   definePart({
 *     id: "loss",
 *     defaults: { y: [0, 1, 0], zoom: 1, way: "exact", open: false },  // numbers, arrays of numbers, strings, booleans
 *     limits: { y: [0, 1], zoom: [1, 10] },                            // of numbers and of the elements of arrays
 *     choices: { way: ["exact", "differences"] },                      // of strings
 *     repair: (state) => ({ y: ... }),                                 // optional: makes what the address says consistent
 *     build(root, context) { root.append(...); context.onChange((state) => { ... }); },
 *   });
 *
 * Elements: el(tag, attributes, ...children), svg(tag, ...), formula("o_k = ", node), see elements.js. The
 * Content-Security-Policy forbids style="..." in attributes: use classes, style: { width: "3px" }, and SVG attributes
 * (fill: "var(--class-0)"). Formulas of softmax: softmax.js. Colours: colours.js and the variables of page.css.
 * Figures that several parts use: figures.js.
 *
 * CONTEXT of a part:
 *   state                     the values (read only); changed by
 *   set({ y: [...] })         shows the part in the next frame, writes the address
 *   reset()                   all values of the part as in `defaults`
 *   onChange((state) => ...)  called at once, after each change of the part, and after a change of language
 *   t(key, values)            a <span> with the translated text, which follows the language; values (an object, or a
 *                             function that returns one and is called at each change) replace {name}; they are strings
 *                             or nodes, such as numbers. Texts have **emphasis** and `formulas`. Keys are looked up in
 *                             the part, then in the texts of the frame, beside this file, which have "class.0", "class.1",
 *                             "class.2", "weight-of", "bias-of"
 *   text(key, values)         the same as a string, for aria-label and the like: call it inside onChange
 *   className(k)              a <span> with the colour and the name of class k
 *   number(name, digits, options)  an element that shows a number: node.set(value), or null for none
 *                             (what is hidden because it does not exist has none). It has data-name="PART.name" and
 *                             data-value at full precision. EVERY number that depends on the state is shown this way, and
 *                             tests/learn compares it with softreg. options: { svgText: true } for a <text> of SVG,
 *                             { attributes }, { show: (value) => string }.
 *   mark(node, name, value)   the same for other elements, as bars whose length is the number
 *   slider({ value: "zoom", index: 0, step: 0.1, label: "key", digits: 1, log: false, min, max })  a labelled range
 *                             input of a value of the state (`index`: of an array); limits are its bounds
 *   select({ value: "way", label: "key" })    radio buttons of a string with `choices`; texts "key.CHOICE"
 *   button("key", action)     a button
 *   handle(node, { label, text, min, max, step, get, set, at, move, sideways })  makes an element (SVG or HTML) draggable, with
 *                             role="slider" and arrow keys. label() and text(value) return strings; get() the number for
 *                             aria-valuenow; set(value) is called with a new value; at(point, from) returns the value at
 *                             a pointer (in units of the SVG; from = { point, value } where the drag began). Keys change
 *                             the number by `step`; move(dx, dy) may return what they set instead, in two dimensions
 *                             (steps to the right and up). A number is rounded to `step` and cut to [min, max].
 *                             With `sideways`, a finger that moves up or down scrolls the page.
 *   question({ key, choices: ["a", "b"], answer: "b" })  a question; texts key, key.a, key.b, key.because (shown after the
 *                             answer). Its method reveal(...nodes) returns a <div> that is hidden until it is answered
 *                             or "show me" is pressed. #show=1 in the address reveals all.
 *   summary(() => string)     what a screen reader hears after a change, once the hand rests
 *   part("image")             the context of an earlier part, for its state, onChange and set
 *   formula(...)              as in elements.js
 *
 * Style sheets of parts are joined: names of classes that a part styles begin with what it alone has.
 * Layout: <div class="columns"> puts two <figure> side by side on a desk, one below the other on a phone. SVG figures have
 * a viewBox and class "figure"; at 320 px nothing may be wider than the page. Text in SVG at least 12 px on a phone.
 */

const SAVE_AFTER = 300;
const SPEAK_AFTER = 800;

const definitions = [];
const app = { lang: document.documentElement.lang, part: "", show: false, states: {}, contexts: {} };
const standardLang = app.lang;
const waiting = { frame: 0, save: 0, speak: 0 };
const changedParts = new Set();
const frameTexts = [];
let moving = false;

function definePart(definition) {
  definitions.push(definition);
  app.states[definition.id] = structuredClone(definition.defaults);
}

function makeContext(definition) {
  const { id, defaults, limits = {} } = definition, live = [], listeners = [], reveals = [];
  const text = (key, values) => textOf(app.lang, id, key, values);
  const t = (key, values) => {
    const span = el("span");
    const show = () => span.replaceChildren(...nodesOf(app.lang, id, key, typeof values === "function" ? values() : values));
    live.push({ values, show });
    if (typeof values !== "function") show();
    return span;
  };
  const context = {
    id, t, text, formula,
    part: (other) => app.contexts[other],
    get state() { return app.states[id]; },
    set(changes) {
      Object.assign(app.states[id], changes);
      partChanged(id, true);
    },
    reset() {
      app.states[id] = structuredClone(defaults);
      partChanged(id, true);
    },
    onChange(listener) { listeners.push(listener); },
    number: (name, digits, options) => makeNumber(`${id}.${name}`, digits, options),
    mark: (node, name, value) => markNumber(node, `${id}.${name}`, value),
    className: (k) =>
      el("span", { class: "class-name" }, el("span", { class: "swatch", style: { background: classColour(k) } }), t(`class.${k}`)),
    button: (key, action) => el("button", { type: "button", onclick: action }, t(key)),
    summary(speak) { context.speak = speak; },
    handle(node, options) {
      makeHandle(node, options);
      listeners.push(() => node.show(options.label(), options.get(), options.text(options.get())));
      return node;
    },
    slider: (options) => makeSlider(context, limits, options),
    select: ({ value, label }) => makeSelect(context, value, label, definition.choices[value]),
    question(options) {
      const widget = makeQuestion(context, options);
      reveals.push(widget.showState);
      return widget;
    },
    show(newLanguage) {
      for (const one of live) if (newLanguage || typeof one.values === "function") one.show();
      for (const listener of listeners) listener(app.states[id]);
      for (const reveal of reveals) reveal();
    },
  };
  return context;
}

function makeSlider(context, limits, { value, index, step, label, digits, log = false, min, max }) {
  const low = min ?? limits[value][0], high = max ?? limits[value][1];
  const inner = (x) => (log ? Math.log10(x) : x), outer = (x) => (log ? 10 ** x : x);
  const read = (state) => (index === undefined ? state[value] : state[value][index]);
  const input = el("input", {
    type: "range", min: inner(low), max: inner(high), step: log ? "any" : step,
    oninput() {
      const next = snap(outer(Number(input.value)), step, low, high), old = context.state[value];
      context.set({ [value]: index === undefined ? next : old.map((one, i) => (i === index ? next : one)) });
    },
    onkeydown(event) {  // a range on a logarithmic scale has no steps of its own
      const way = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
      if (!log || !way) return;
      event.preventDefault();
      const now = read(context.state), next = snap(now * 1.1 ** way, step, low, high);
      input.value = inner(next === now ? snap(now + way * step, step, low, high) : next);
      input.dispatchEvent(new Event("input"));
    },
  });
  const shown = context.number(index === undefined ? value : `${value}.${index}`, digits);
  context.onChange((state) => {
    const now = read(state);
    input.value = inner(now);
    input.setAttribute("aria-valuetext", numberText(now, digits));
    shown.set(now);
  });
  return sliderLine(context.t(label), input, shown);
}

function makeSelect(context, value, label, choices) {
  const name = `${context.id}-${value}`;
  const inputs = choices.map((choice) =>
    el("input", { type: "radio", name, value: choice, onchange: () => context.set({ [value]: choice }) }));
  context.onChange((state) => {
    for (const input of inputs) input.checked = input.value === state[value];
  });
  return el("fieldset", { class: "select" }, el("legend", {}, context.t(label)),
    el("div", { class: "segments" }, choices.map((choice, i) => el("label", {}, inputs[i], context.t(`${label}.${choice}`)))));
}

function makeQuestion(context, { key, choices, answer }) {
  const name = `${context.id}-${key}`, covered = [];
  let chosen = null;
  const right = context.t("question.right"), wrong = context.t("question.wrong");
  const because = context.t(`${key}.because`);
  const result = el("div", { class: "because", role: "status", tabindex: -1 });
  const choose = (choice) => {
    chosen = choice;
    partChanged(context.id, false);
  };
  const inputs = choices.map((choice) => el("input", { type: "radio", name, value: choice, onchange: () => choose(choice) }));
  const labels = choices.map((choice, i) => el("label", { class: "choice" }, inputs[i], el("span", {}, context.t(`${key}.${choice}`))));
  const showMe = context.button("question.show", () => {
    choose("shown");
    result.focus();  // the button disappears
  });
  const widget = el("fieldset", { class: "question" },
    el("legend", {}, el("span", { class: "tag" }, context.t("question.tag")), " ", context.t(key)),
    el("div", { class: "answers" }, labels), showMe, result);
  widget.reveal = (...nodes) => {
    const cover = el("div", { class: "reveal" }, nodes);
    covered.push(cover);
    return cover;
  };
  widget.showState = () => {
    const open = chosen !== null || app.show;
    for (const cover of covered) cover.hidden = !open;
    showMe.hidden = open;
    labels.forEach((label, i) => {
      label.classList.toggle("right", open && choices[i] === answer);
      label.classList.toggle("wrong", open && choices[i] === chosen && chosen !== answer);
    });
    const judged = chosen === answer ? right : choices.includes(chosen) ? wrong : null;
    const next = open ? `shown ${chosen}` : "";
    if (result.dataset.shown === next) return;
    result.dataset.shown = next;
    result.replaceChildren(...(open ? [el("p", {}, judged && el("strong", {}, judged, " "), because)] : []));
  };
  return widget;
}

/** Note a change; it is shown in the next frame, and the address is written after a pause. */
function partChanged(id, speaks) {
  changedParts.add(id);
  if (!waiting.frame) waiting.frame = requestAnimationFrame(showChanges);
  later("save", SAVE_AFTER, save);
  if (speaks) later("speak", SPEAK_AFTER, () => setText(document.getElementById("live"), app.contexts[id].speak?.() ?? ""));
}

function later(name, milliseconds, work) {
  clearTimeout(waiting[name]);
  waiting[name] = setTimeout(work, milliseconds);
}

function showChanges() {
  waiting.frame = 0;
  for (const id of changedParts) app.contexts[id].show(false);
  changedParts.clear();
}

function save() {
  const pairs = [];
  if (app.lang !== standardLang) pairs.push(["lang", app.lang]);
  if (app.part && app.part !== definitions[0].id) pairs.push(["part", app.part]);
  if (app.show) pairs.push(["show", "1"]);
  for (const { id, defaults } of definitions) {
    for (const name of Object.keys(defaults)) {
      const value = writeValue(app.states[id][name]);
      if (value !== writeValue(defaults[name])) pairs.push([`${id}.${name}`, value]);
    }
  }
  const fragment = writeFragment(pairs);
  if (fragment === location.hash.replace(/^#/, "")) return;
  history.replaceState(null, "", fragment ? `#${fragment}` : location.pathname + location.search);
}

/** Take the state from the address; what it does not say, or says wrongly, is as at the beginning. */
function restore() {
  const pairs = readFragment(location.hash);
  app.lang = LANGUAGES.includes(pairs.get("lang")) ? pairs.get("lang") : standardLang;
  app.show = pairs.get("show") === "1";
  app.part = definitions.some(({ id }) => id === pairs.get("part")) ? pairs.get("part") : "";
  for (const { id, defaults, limits = {}, choices = {}, repair } of definitions) {
    const state = structuredClone(defaults);
    for (const name of Object.keys(defaults)) {
      const text = pairs.get(`${id}.${name}`);
      const value = text === undefined ? undefined : readValue(text, defaults[name], limits[name], choices[name]);
      if (value !== undefined) state[name] = value;
    }
    app.states[id] = repair ? { ...state, ...repair(state) } : state;
  }
  showAll();
  if (app.part) goTo(app.part, false);
}

function showAll() {
  document.documentElement.lang = app.lang === "zh" ? "zh-CN" : app.lang;
  document.title = textOf(app.lang, "frame", "title");
  for (const show of frameTexts) show();
  for (const { id } of definitions) app.contexts[id].show(true);
}

function setLanguage(lang) {
  app.lang = lang;
  showAll();
  later("save", SAVE_AFTER, save);
}

function setPart(id) {
  app.part = id;
  for (const link of document.querySelectorAll("#contents a")) {
    const isHere = link.hash === `#part=${id}`, list = link.closest("ol");
    furnish(link, { "aria-current": isHere && "true" });
    if (isHere) list.scrollLeft = link.offsetLeft - (list.clientWidth - link.offsetWidth) / 2;
  }
}

function goTo(id, focus) {
  const section = document.getElementById(id);
  moving = true;
  setPart(id);
  section.scrollIntoView({ behavior: focus ? "auto" : "instant" });
  if (focus) section.querySelector("h2").focus({ preventScroll: true });
  later("arrive", SPEAK_AFTER, () => { moving = false; });
  later("save", SAVE_AFTER, save);
}

/** A text of the frame in an element, which follows the language. */
function frameText(node, key, values) {
  frameTexts.push(() => node.replaceChildren(...nodesOf(app.lang, "frame", key, values)));
  return node;
}

function buildTools() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const languages = LANGUAGES.map((lang) =>
    el("button", { type: "button", lang, onclick: () => setLanguage(lang) }, TEXTS[lang].frame.language));
  frameTexts.push(() => languages.forEach((button, i) => button.setAttribute("aria-pressed", String(LANGUAGES[i] === app.lang))));
  const theme = frameText(el("button", {
    type: "button", "aria-pressed": String(dark.matches),
    onclick() {
      const isDark = theme.getAttribute("aria-pressed") !== "true";
      document.documentElement.dataset.theme = isDark ? "dark" : "light";
      theme.setAttribute("aria-pressed", String(isDark));
    },
  }), "dark");
  const group = el("div", { class: "languages", role: "group" }, languages);
  frameTexts.push(() => group.setAttribute("aria-label", textOf(app.lang, "frame", "languages")));
  document.getElementById("tools").append(group, theme);
}

function buildPart(definition, i) {
  const context = makeContext(definition), { id } = definition;
  app.contexts[id] = context;
  const root = el("div", { class: "part-body" });
  const heading = el("h2", { tabindex: -1, id: `${id}-title` }, el("span", { class: "part-number" }, `${i + 1}`), " ", context.t("title"));
  const reset = context.button("reset", () => context.reset());
  document.getElementById("parts").append(
    el("section", { id, "aria-labelledby": `${id}-title` }, el("div", { class: "part-head" }, heading, reset), root),
  );
  definition.build(root, context);
  return el("li", {}, partLink(id, context.t("short")));
}

/** A link to a part. */
function partLink(id, name) {
  return el("a", { href: `#part=${id}`, onclick: (event) => { event.preventDefault(); goTo(id, true); } }, name);
}

/** The part that is being read is the one that crosses the middle of the window. */
function watchParts() {
  const observer = new IntersectionObserver((entries) => {
    const seen = entries.find((entry) => entry.isIntersecting);
    if (!seen || moving || seen.target.id === app.part) return;
    setPart(seen.target.id);
    later("save", SAVE_AFTER, save);
  }, { rootMargin: "-50% 0px -50% 0px" });
  for (const { id } of definitions) observer.observe(document.getElementById(id));
}

function start() {
  buildTools();
  const nav = document.getElementById("contents");
  nav.append(el("ol", {}, definitions.map(buildPart)));
  frameTexts.push(() => nav.setAttribute("aria-label", textOf(app.lang, "frame", "contents")));
  for (const [id, key] of [["title", "title"], ["subtitle", "subtitle"], ["skip", "skip"]]) frameText(document.getElementById(id), key);
  document.getElementById("skip").addEventListener("click", (event) => {
    event.preventDefault();
    goTo(definitions[0].id, true);
  });
  const showAnswers = frameText(el("button", {
    type: "button",
    onclick() {
      app.show = true;
      showAll();
      later("save", SAVE_AFTER, save);
    },
  }), "show-answers");
  document.getElementById("footer").append(frameText(el("p"), "footer", { version: VERSION }), showAnswers);
  addEventListener("hashchange", restore);
  restore();
  watchParts();
}
