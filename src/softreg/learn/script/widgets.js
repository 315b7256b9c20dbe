// What people read and touch: numbers, sliders, handles, questions. frame.js gives them to the parts.

const BIG_STEPS = 10;

/** A number as text: `digits` decimals, a true minus sign, and powers of ten for what decimals cannot show. */
function numberText(value, digits) {
  const size = Math.abs(value);
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "\u2013" : value < 0 ? "\u2212\u221e" : "\u221e";
  if (size !== 0 && (size < 0.5 * 10 ** -digits || size >= 1e6)) {
    const [head, power] = value.toExponential(1).split("e");
    return `${head}\u00d710${[...String(Number(power))].map((sign) => SUPERSCRIPTS[sign]).join("")}`.replace(/^-/, "\u2212");
  }
  const text = size.toFixed(digits);
  return value < 0 && Number(text) !== 0 ? `\u2212${text}` : text;
}

const SUPERSCRIPTS = {
  "-": "\u207b", 0: "\u2070", 1: "\u00b9", 2: "\u00b2", 3: "\u00b3", 4: "\u2074",
  5: "\u2075", 6: "\u2076", 7: "\u2077", 8: "\u2078", 9: "\u2079",
};

/** An element that shows a number; `node.set(value)` changes it. `svgText` makes a <text> instead of a <span>. */
function makeNumber(fullName, digits, { svgText = false, attributes = {}, show = null } = {}) {
  const all = { ...attributes, class: `number ${attributes.class ?? ""}`.trim(), "data-name": fullName };
  const node = svgText ? svg("text", all) : el("span", all);
  node.set = (value) => {
    if (value === null) {  // there is no number to show
      node.removeAttribute("data-value");
      setText(node, "");
      return;
    }
    markNumber(node, fullName, value);
    setText(node, show ? show(value) : numberText(value, digits));
  };
  return node;
}

/** Say on an element which number it shows, at full precision. */
function markNumber(node, fullName, value) {
  furnish(node, { "data-name": fullName, "data-value": Object.is(value, -0) ? "0" : String(value) });
}

/** A range input with its name before it and its value behind it. */
function sliderLine(name, input, shown) {
  return el("label", { class: "slider" }, el("span", { class: "slider-name" }, name), input, shown);
}

/** Round to a multiple of the step, without the digits that binary fractions add. */
function snap(value, step, low, high) {
  const near = Number((Math.round(value / step) * step).toPrecision(12));
  return Math.min(high, Math.max(low, near));
}

/** Make an element a slider: dragged with the pointer, moved with the arrow keys, read aloud. See the top of frame.js. */
function makeHandle(node, { min, max, step, get, set, at, move, sideways = false }) {
  let from = null;
  const point = (event) => {
    const box = node.ownerSVGElement;
    if (!box) return { x: event.clientX, y: event.clientY };
    const seen = new DOMPoint(event.clientX, event.clientY).matrixTransform(box.getScreenCTM().inverse());
    return { x: seen.x, y: seen.y };
  };
  const give = (value) => set(typeof value === "number" ? snap(value, step, min, max) : value);
  furnish(node, {
    role: "slider", tabindex: 0, "aria-valuemin": min, "aria-valuemax": max,
    onpointerdown(event) {
      if (event.button !== 0) return;
      node.setPointerCapture(event.pointerId);
      from = { point: point(event), value: get() };
      node.focus({ preventScroll: true });
      event.preventDefault();
    },
    onpointermove(event) {
      if (from) give(at(point(event), from));
    },
    onpointerup() { from = null; },
    onpointercancel() { from = null; },
    onkeydown(event) {
      const steps = event.shiftKey ? BIG_STEPS : 1;
      const [dx, dy] = {
        ArrowLeft: [-steps, 0], ArrowRight: [steps, 0], ArrowDown: [0, -steps], ArrowUp: [0, steps],
        PageDown: [0, -BIG_STEPS], PageUp: [0, BIG_STEPS], Home: [-Infinity, 0], End: [Infinity, 0],
      }[event.key] ?? [0, 0];
      if (event.ctrlKey || event.altKey || event.metaKey || (!dx && !dy)) return;
      event.preventDefault();
      const next = move ? move(dx, dy) : snapKey(get(), dx + dy);
      if (next !== undefined) give(next);
    },
  });
  node.classList.add("handle");
  node.classList.toggle("sideways", sideways);
  const snapKey = (value, steps) => (steps === -Infinity ? min : steps === Infinity ? max : value + steps * step);
  node.show = (label, value, text) => furnish(node, { "aria-label": label, "aria-valuenow": value, "aria-valuetext": text });
  return node;
}
