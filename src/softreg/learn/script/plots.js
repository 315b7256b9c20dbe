// Plots of curves in SVG: axes, places of values, and what parts draw on them.

const PLOT = { width: 300, height: 212, left: 38, right: 12, top: 12, bottom: 36 };
const TICK_FACTORS = [1, 2, 5, 10];

/** Multiples of 1, 2 or 5 times a power of ten from 0 to `to`, about `count` of them. */
function ticksTo(to, count = 4) {
  const power = 10 ** Math.floor(Math.log10(to / count));
  const step = power * TICK_FACTORS.find((factor) => factor * power * count >= to * (1 - 1e-9));
  return Array.from({ length: Math.floor(to / step + 1e-9) + 1 }, (_, k) => Number((k * step).toPrecision(12)));
}

/**
 * An empty plot. `plot.axes({ x, y })` draws axes { from, to, ticks, text, log }; after it, `plot.x(value)` and
 * `plot.y(value)` are places in the SVG, `plot.valueAt(place)` is the inverse of x, and `plot.line(points, attributes)` is
 * a curve through [x, y]. Nodes of the part go into `plot.area`. `xLabel` and `yLabel` are keys of texts.
 */
function makePlot(context, { xLabel, yLabel, height = PLOT.height }) {
  const { width, left, right, top, bottom } = PLOT;
  const axes = svg("g", { "aria-hidden": "true" }), area = svg("g");
  const xName = svg("text", { x: (left + width - right) / 2, y: height - 3, "text-anchor": "middle", class: "axis-name" });
  const yName = svg("text", { x: 2, y: top + 1, class: "axis-name" });
  const node = svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "figure plot", role: "group" }, axes, xName, yName, area);
  context.onChange(() => {
    setText(xName, context.text(xLabel));
    setText(yName, yLabel ? context.text(yLabel) : "");
  });
  const plot = { node, area };
  const scale = ({ from, to, log }, low, high) => {
    const inner = (value) => (log ? Math.log(value) : value);
    return (value) => low + ((high - low) * (inner(value) - inner(from))) / (inner(to) - inner(from));
  };
  plot.axes = ({ x, y }) => {
    plot.x = scale(x, left, width - right);
    plot.y = scale(y, height - bottom, top + (yLabel ? 12 : 0));
    plot.valueAt = (place) => {
      const share = (place - left) / (width - right - left);
      return x.log ? x.from * (x.to / x.from) ** share : x.from + share * (x.to - x.from);
    };
    const ofX = x.ticks.map((tick) => svg("text", { x: plot.x(tick), y: height - bottom + 16, "text-anchor": "middle" }, x.text(tick)));
    const ofY = y.ticks.flatMap((tick) => [
      svg("line", { x1: left, x2: width - right, y1: plot.y(tick), y2: plot.y(tick), stroke: "var(--line)" }),
      svg("text", { x: left - 6, y: plot.y(tick) + 4.5, "text-anchor": "end" }, y.text(tick)),
    ]);
    const base = svg("line", { x1: left, x2: width - right, y1: height - bottom, y2: height - bottom, stroke: "var(--edge)" });
    axes.replaceChildren(...ofY, base, ...ofX);
  };
  plot.line = (points, attributes) => svg("path", {
    d: points.map(([x, y], i) => `${i ? "L" : "M"}${plot.x(x).toFixed(2)} ${plot.y(y).toFixed(2)}`).join(""),
    fill: "none", "stroke-width": 2, "stroke-linejoin": "round", ...attributes,
  });
  return plot;
}

/** A point to be dragged, with room for a finger around it: `point.place(x, y)` moves it. */
function dragPoint(colour) {
  const dot = svg("circle", { r: 8, fill: colour, stroke: "var(--card)", "stroke-width": 2 });
  const point = svg("g", {}, svg("circle", { r: 17, fill: "transparent" }), dot);
  point.place = (x, y) => furnish(point, { transform: `translate(${x.toFixed(2)} ${y.toFixed(2)})` });
  return point;
}

/** A function that computes its value anew only where its arguments (numbers, strings, arrays) differ from the last ones. */
function remembered(compute) {
  let last = null, value;
  return (...given) => {
    const key = JSON.stringify(given);
    if (key !== last) [last, value] = [key, compute(...given)];
    return value;
  };
}

/** A table: heads are keys of texts or null; rows are [the row's name, cell, ...], the name a key or a node. */
function makeTable(context, heads, rows) {
  const head = heads.map((key) => el(key ? "th" : "td", key ? { scope: "col" } : {}, key ? context.t(key) : null));
  const body = rows.map(([name, ...cells]) => el("tr", {},
    el("th", { scope: "row" }, typeof name === "string" ? context.t(name) : name), cells.map((cell) => el("td", {}, cell))));
  return el("div", { class: "scroll" }, el("table", { class: "numbers" }, el("thead", {}, el("tr", {}, head)), el("tbody", {}, body)));
}
