// Figures of part 2: the triangle of labels, the two bars of the loss, and the arrows of the gradient.

const CORNERS = [[30, 246], [150, 38], [270, 246]];  // cat, chicken, dog
const LABEL_STEP = 0.1;
const DECIMALS = 100;

function placeOf(y) {
  return [0, 1].map((axis) => y.reduce((sum, one, k) => sum + one * CORNERS[k][axis], 0));
}

/** The distribution nearest to a place in the plane of the triangle, in hundredths. */
function distributionAt([px, py]) {
  const [[x0, y0], [x1, y1], [x2, y2]] = CORNERS, area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0);
  const first = ((x1 - px) * (y2 - py) - (x2 - px) * (y1 - py)) / area, second = ((x2 - px) * (y0 - py) - (x0 - px) * (y2 - py)) / area;
  return hundredths(projected([first, second, 1 - first - second]));
}

/** The nearest point of the simplex to numbers that sum to 1. */
function projected(v) {
  const sorted = v.slice().sort((a, b) => b - a);
  let sum = 0, excess = 0;
  sorted.forEach((one, i) => {
    sum += one;
    if (one > (sum - 1) / (i + 1)) excess = (sum - 1) / (i + 1);
  });
  return v.map((one) => Math.max(0, one - excess));
}

/** Rounded to hundredths that sum to 1: the largest is what the others leave. */
function hundredths(p) {
  const whole = p.map((one) => Math.round(DECIMALS * one)), top = argmax(p);
  whole[top] = DECIMALS - whole.reduce((sum, one, k) => (k === top ? sum : sum + one), 0);
  return whole.map((one) => one / DECIMALS);
}

/** A triangle whose points are distributions; the label is dragged, the prediction is shown: `set(p)`. */
function labelTriangle(context) {
  const edge = svg("path", { d: `M${CORNERS.join("L")}Z`, class: "triangle" });
  const link = svg("path", { class: "triangle-link" });
  const predicted = svg("path", { d: "M0-8L8 0L0 8L-8 0Z", class: "predicted" });
  const names = CLASSES.map((k) => svg("text", { x: CORNERS[k][0], y: k === 1 ? 14 : 270, "text-anchor": "middle" }));
  const knob = context.handle(svg("g", {}, svg("circle", { r: 22, class: "reach" }), svg("circle", { r: 10, class: "knob" })), {
    label: () => context.text("label-handle"),
    text: () => CLASSES.map((k) => `${context.text(`class.${k}`)} ${numberText(context.state.y[k], 2)}`).join(", "),
    min: 0, max: 1, step: 0.01,
    get: () => context.state.y[1],
    set: (y) => context.set({ y }),
    at: (point) => distributionAt([point.x, point.y]),
    move: (dx, dy) => {
      if (!Number.isFinite(dx)) return undefined;
      const [x, y] = placeOf(context.state.y), side = CORNERS[2][0] - CORNERS[0][0];
      return distributionAt([x + LABEL_STEP * side * dx, y - LABEL_STEP * side * dy]);
    },
  });
  const figure = svg("svg", { viewBox: "0 0 300 278", class: "figure triangle-figure" }, edge, names, link, predicted, knob);
  figure.set = (p) => {
    const label = placeOf(context.state.y), model = placeOf(p);
    names.forEach((name, k) => setText(name, context.text(`class.${k}`)));
    furnish(link, { d: `M${label}L${model}` });
    furnish(predicted, { transform: `translate(${model})` });
    furnish(knob, { transform: `translate(${label})` });
  };
  return figure;
}

/** Two bars on the scale of the logits; the loss is the gap between their ends: `set(o, top, given)`. */
function gapFigure(context) {
  const numbers = { lse: context.number("lse", 2), yo: context.number("yo", 2), loss: context.number("gap", 2) };
  const bars = {
    lse: el("span", { class: "fill ink" }), yo: el("span", { class: "fill ink" }), gap: el("span", { class: "fill gap" }, numbers.loss),
  };
  const ticks = [0, 1].map(() => CLASSES.map((k) => el("span", { class: "tick", style: { background: classColour(k) } })));
  const figure = el("div", { class: "gap-figure" },
    el("p", {}, context.t("bar-lse"), " ", numbers.lse), el("div", { class: "track", "aria-hidden": "true" }, bars.lse, ticks[0]),
    el("p", {}, context.t("bar-yo"), " ", numbers.yo), el("div", { class: "track" }, bars.yo, ticks[1], bars.gap));
  figure.set = (o, lse, yo) => {
    const low = Math.min(...o) - 1, share = (value) => `${(100 * (value - low)) / (lse + 0.5 - low)}%`;
    numbers.lse.set(lse);
    numbers.yo.set(yo);
    numbers.loss.set(lse - yo);
    bars.lse.style.setProperty("width", share(lse));
    bars.yo.style.setProperty("width", share(yo));
    bars.gap.style.setProperty("left", share(yo));
    bars.gap.style.setProperty("width", share(low + lse - yo));
    for (const row of ticks) row.forEach((tick, k) => tick.style.setProperty("left", share(o[k])));
  };
  return figure;
}

const ARROW = { left: 100, right: 230, row: 46, longest: 78, head: 7 };

/** The logits on a line each, with arrows against the gradient: `set(o, g)`. */
function arrowFigure(context) {
  const rows = CLASSES.map((k) => ({
    name: svg("text", { x: 0, y: ARROW.row * k + 20 }),
    line: svg("path", { d: `M20 ${ARROW.row * k + 32}H310`, class: "axis" }),
    arrow: svg("path", { class: "arrow", stroke: classColour(k), fill: classColour(k) }),
    dot: svg("circle", { r: 6, cy: ARROW.row * k + 32, fill: classColour(k) }),
    number: context.number(`g.${k}`, 3, { svgText: true, attributes: { x: 310, y: ARROW.row * k + 20, "text-anchor": "end" } }),
  }));
  const figure = svg("svg", { viewBox: `0 0 312 ${3 * ARROW.row}`, class: "figure arrow-figure" }, rows.map((row) => Object.values(row)));
  figure.set = (o, g) => {
    const low = Math.min(...o), wide = Math.max(...o) - low || 1;
    rows.forEach((row, k) => {
      const x = ARROW.left + ((ARROW.right - ARROW.left) * (o[k] - low)) / wide, end = x - ARROW.longest * g[k], y = ARROW.row * k + 32;
      const head = Math.sign(end - x) * Math.min(ARROW.head, Math.abs(end - x));
      setText(row.name, context.text(`class.${k}`));
      row.dot.setAttribute("cx", x);
      row.arrow.setAttribute("d", `M${x} ${y}H${end - head}V${y - 5}L${end} ${y}L${end - head} ${y + 5}V${y}Z`);
      row.number.set(g[k]);
    });
  };
  return figure;
}
