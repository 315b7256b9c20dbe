// Figures that several parts use.

const PIXELS = [0, 1, 2, 3];
const BIAS = 4;
const PIXEL_DRAG = 150;  // units of the figure from black to white

/** Bars of the three classes: `set(values)` with values from 0 to `most`. */
function classBars(context, name, digits, most = 1) {
  const fills = CLASSES.map((k) => el("span", { class: "fill", style: { background: classColour(k) } }));
  const numbers = CLASSES.map((k) => context.number(`${name}.${k}`, digits));
  const rows = CLASSES.map((k) =>
    el("li", {}, context.className(k), el("span", { class: "track", "aria-hidden": "true" }, fills[k]), numbers[k]));
  const list = el("ul", { class: "bars" }, rows);
  list.set = (values) => values.forEach((value, k) => {
    numbers[k].set(value);
    setShare(fills[k], value / most);
    rows[k].classList.toggle("top", k === soleArgmax(values));
  });
  return list;
}

/** A button that draws anew with the next seed, and the seed: `label` is a key, as is "seed". */
function seedButton(context, { label, next }) {
  const seed = context.number("seed", 0);
  context.onChange((state) => seed.set(state.seed));
  return el("div", { class: "buttons" }, context.button(label, () => context.set({ seed: next(context.state.seed) })),
    el("span", { class: "quiet small" }, context.t("seed", { seed })));
}

/** Set the width of the filling of a bar. */
function setShare(fill, share) {
  fill.style.setProperty("width", `${100 * Math.max(0, Math.min(1, share || 0))}%`);
}

/** A bar from the middle to the right or left: `set(share)` with shares from -1 to 1. */
function signedBar(colour) {
  const fill = el("span", { class: "fill", style: { background: colour } });
  const bar = el("span", { class: "bar signed", "aria-hidden": "true" }, fill);
  bar.set = (share) => {
    const width = 50 * Math.min(1, Math.abs(share));
    fill.style.setProperty("left", `${share < 0 ? 50 - width : 50}%`);
    fill.style.setProperty("width", `${width}%`);
  };
  return bar;
}

/** A bar from the left: `set(share)` with shares from 0 to 1. */
function plainBar(colour) {
  const fill = el("span", { class: "fill", style: { background: colour } });
  const bar = el("span", { class: "bar", "aria-hidden": "true" }, fill);
  bar.set = (share) => setShare(fill, share);
  return bar;
}

/** One bar that three shares fill: `set(p)`. */
function wholeBar(context, name) {
  const segments = CLASSES.map((k) => el("span", { style: { background: classColour(k), color: `var(--on-${k})` } }));
  const bar = el("div", { class: "whole", "aria-hidden": "true" }, segments);
  const widest = 0.14;
  bar.set = (p) => segments.forEach((segment, k) => {
    context.mark(segment, `${name}.${k}`, p[k]);
    segment.style.setProperty("flex", `0 0 ${100 * p[k]}%`);
    setText(segment, p[k] > widest ? context.text(`class.${k}`) : "");
  });
  return bar;
}

/** The image of part 1: four squares that are dragged; `context` is that of part 1. */
function pixelFigure(context) {
  const attributes = { "text-anchor": "middle", "aria-hidden": "true", "pointer-events": "none" };
  const values = PIXELS.map((i) => context.number(`x.${i}`, 2, { svgText: true, attributes }));
  const squares = PIXELS.map((i) => {
    const place = { x: 2 + 102 * (i % 2), y: 2 + 102 * Math.floor(i / 2), width: 100, height: 100, rx: 4 };
    const square = svg("rect", { ...place, class: `pixel of-pixel-${i}` });
    return context.handle(square, {
      label: () => context.text("pixel", { number: String(i + 1) }),
      text: (value) => numberText(value, 2),
      min: 0, max: 1, step: 0.05, sideways: true,
      get: () => context.state.x[i],
      set: (value) => context.set({ x: context.state.x.map((one, j) => (j === i ? value : one)) }),
      at: (point, from) => from.value + (point.x - from.point.x) / PIXEL_DRAG,
    });
  });
  context.onChange(({ x }) => PIXELS.forEach((i) => {
    furnish(squares[i], { fill: grey(x[i]) });
    furnish(values[i], { x: 52 + 102 * (i % 2), y: 58 + 102 * Math.floor(i / 2), fill: x[i] > 0.45 ? "#000" : "#fff" });
    values[i].set(x[i]);
  }));
  return svg("svg", { viewBox: "0 0 206 206", class: "figure image" }, squares, values);
}

/** The 12 weights of the state as a row for each class. */
function weightRows(W) {
  return CLASSES.map((k) => W.slice(PIXELS.length * k, PIXELS.length * (k + 1)));
}

/** What a weight or bias is called: "weight of cat for pixel 1". */
function weightName(context, k, i) {
  return context.text(i === BIAS ? "bias-of" : "weight-of", { name: context.text(`class.${k}`), number: String(i + 1) });
}

/** The weights of each class as an image of 2 x 2 cells with the bias below: `set(rows, biases)`.
 *  `makeCell(k, i, number)` makes the cell of a pixel, or of the bias, where i is BIAS. */
function weightFigure(context, names, digits, makeCell) {
  const nameOf = (k, i) => (i === BIAS ? `${names.bias}.${k}` : `${names.weights}.${PIXELS.length * k + i}`);
  const numbers = CLASSES.map((k) => [...PIXELS, BIAS].map((i) => context.number(nameOf(k, i), digits)));
  const cells = CLASSES.map((k) => numbers[k].map((number, i) => {
    const cell = makeCell(k, i, i === BIAS ? [el("span", { class: "quiet" }, formula("b")), number] : number);
    cell.classList.add("cell", `of-pixel-${i}`, `of-class-${k}`);
    cell.classList.toggle("bias", i === BIAS);
    return cell;
  }));
  const figure = el("div", { class: "templates" },
    CLASSES.map((k) => el("div", { class: "template" }, context.className(k), el("div", { class: "cells" }, cells[k]))));
  figure.set = (rows, biases, least) => {
    const most = Math.max(least, ...rows.flat().map(Math.abs), ...biases.map(Math.abs));
    CLASSES.forEach((k) => [...rows[k], biases[k]].forEach((value, i) => {
      numbers[k][i].set(value);
      cells[k][i].style.setProperty("background", signedColour(value, most));
    }));
  };
  return figure;
}

/** Mark what belongs to a pixel or a class while the pointer or the focus is on something that belongs to it. */
function lightOnPointing(root, node, selector) {
  const light = (on) => () => {
    for (const one of root.querySelectorAll(selector)) one.classList.toggle("lit", on);
  };
  for (const event of ["pointerenter", "focus"]) node.addEventListener(event, light(true));
  for (const event of ["pointerleave", "blur"]) node.addEventListener(event, light(false));
}
