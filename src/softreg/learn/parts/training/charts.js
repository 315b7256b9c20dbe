// Charts of the part on training: curves over passes, on a logarithmic axis that begins at 0.

const CHART = { width: 560, height: 296, left: 62, right: 12, top: 14, bottom: 56 };
const PASS_TICKS = [0, 1, 3, 10, 30, 100, 300, 1000];
const FEWEST_PASSES = 30;
const LEAST_DISTANCE = 1e-16;
const DISTANCE_DECADES = [-16, -12, -8, -4, 0];
const DECADES_ABOVE = 2;
const LOSS_STEPS = [0.25, 0.5, 1, 2, 5, 10, 20, 50, 100];
const MOST_LOSS_TICKS = 5;
const LEAST_TOP = 1.25;
const PIXEL_STEP = 1;

/** A chart of curves: `set({ most, ticks, y, curves })` with `y` from a value to [0, 1], and points of each curve. */
function passChart(context, { label, curves }) {
  const inner = CHART.width - CHART.left - CHART.right, height = CHART.height - CHART.top - CHART.bottom;
  const xTicks = PASS_TICKS.map((tick) => svg("g", {}, svg("line", { y1: CHART.top, y2: CHART.top + height, class: "training-rule" }),
    svg("text", { y: CHART.top + height + 19, "text-anchor": "middle", class: "training-tick" }, String(tick))));
  const yAxis = svg("g"), extra = svg("g");
  const axisName = svg("text", { x: CHART.left + inner / 2, y: CHART.height - 4, "text-anchor": "middle", class: "training-tick" });
  const paths = curves.map(({ look }) => svg("path", { class: `training-curve ${look}` }));
  const dots = curves.map(({ look }) => svg("circle", { r: 4, class: `training-dot ${look}` }));
  const node = svg("svg", { viewBox: `0 0 ${CHART.width} ${CHART.height}`, class: "figure training-chart", role: "img" },
    xTicks, yAxis, axisName, extra, paths, dots);
  const xOf = (passes, most) => CHART.left + (inner * Math.log1p(passes)) / Math.log1p(most);
  let ticksShown = "";
  node.set = ({ most, ticks, y, points, rule }) => {
    const yOf = (value) => CHART.top + height * (1 - Math.min(1, Math.max(0, y(value))));
    PASS_TICKS.forEach((tick, i) => {
      xTicks[i].toggleAttribute("hidden", tick > most);
      furnish(xTicks[i], { transform: `translate(${xOf(tick, most).toFixed(1)} 0)` });
    });
    const shown = ticks.map(({ text }) => text).join(" ");
    if (shown !== ticksShown) {
      ticksShown = shown;
      yAxis.replaceChildren(...ticks.flatMap(({ value, text }) => [
        svg("line", { x1: CHART.left, x2: CHART.left + inner, y1: yOf(value), y2: yOf(value), class: "training-rule" }),
        svg("text", { x: CHART.left - 7, y: yOf(value) + 4, "text-anchor": "end", class: "training-tick" }, text),
      ]));
    }
    points.forEach((curve, i) => {
      furnish(paths[i], { d: curvePath(curve, (passes) => xOf(passes, most), yOf) });
      const last = curve.at(-1);
      dots[i].toggleAttribute("hidden", !last);
      if (last) furnish(dots[i], { cx: xOf(last[0], most).toFixed(1), cy: yOf(last[1]).toFixed(1) });
    });
    extra.replaceChildren(...(rule === undefined ? [] : [
      svg("line", { x1: xOf(rule, most), x2: xOf(rule, most), y1: CHART.top, y2: CHART.top + height, class: "training-mark" }),
    ]));
    setText(axisName, context.text("axis-passes"));
    furnish(node, { "aria-label": context.text(label) });
  };
  return node;
}

/** The path through points, at most one for each unit of width. */
function curvePath(points, xOf, yOf) {
  let path = "", before = -Infinity;
  points.forEach(([passes, value], i) => {
    const x = xOf(passes);
    if (!Number.isFinite(value) || (x - before < PIXEL_STEP && i < points.length - 1)) return;
    path += `${path ? "L" : "M"}${x.toFixed(1)} ${yOf(value).toFixed(1)}`;
    before = x;
  });
  return path;
}

/** Ticks from 0 to the top of a linear axis that shows `most`. */
function lossTicks(most) {
  const step = LOSS_STEPS.find((one) => Math.ceil(most / one) <= MOST_LOSS_TICKS) ?? most;
  const top = step * Math.ceil(most / step);
  return { top, ticks: Array.from({ length: Math.round(top / step) + 1 }, (_, i) => ({ value: i * step, text: String(i * step) })) };
}

/** The legend of a chart: a line in the look of each curve, and its name. */
function chartLegend(context, curves) {
  return el("ul", { class: "training-legend" }, curves.map(({ look, name }) => {
    const line = svg("path", { d: "M1 5h26", class: `training-curve ${look}` });
    return el("li", {}, svg("svg", { viewBox: "0 0 28 10", "aria-hidden": "true" }, line), context.t(name));
  }));
}

/** The chart of the losses: `set(run, now)`. */
function lossChart(context) {
  const curves = [{ look: "training-train", name: "curve-training" }, { look: "training-held", name: "curve-holdout" }];
  const chart = passChart(context, { label: "loss-chart", curves });
  const node = el("figure", {}, el("h3", {}, context.t("loss-title")), chartLegend(context, curves), chart);
  node.set = (run, now) => {
    const points = ["loss", "holdoutLoss"].map((name) => [...run.history.map((at) => [at.x, at[name]]), [now.x, now[name]]]);
    const largest = points.flat().reduce((most, [, value]) => Math.max(most, value), LEAST_TOP), { top, ticks } = lossTicks(largest);
    const rule = run.lowest.passes > 0 ? run.lowest.passes : undefined;
    chart.set({ most: Math.max(FEWEST_PASSES, now.x), ticks, y: (value) => value / top, points, rule });
  };
  return node;
}

/** The chart of the distances to the minimum: `set(run, now)`. */
function gapChart(context) {
  const curves = [{ look: "training-sgd", name: "curve-sgd" }, { look: "training-newton", name: "curve-newton" }];
  const chart = passChart(context, { label: "gap-chart", curves });
  const first = DISTANCE_DECADES[0], last = DISTANCE_DECADES.at(-1) + DECADES_ABOVE;
  const y = (value) => (Math.log10(Math.max(value, LEAST_DISTANCE)) - first) / (last - first);
  const textOfPower = (power) => (power ? numberText(10 ** power, 0).replace(/^1\.0\u00d7/, "") : "1");
  const ticks = DISTANCE_DECADES.map((power) => ({ value: 10 ** power, text: textOfPower(power) }));
  const node = el("figure", {}, el("h3", {}, context.t("gap-title")), chartLegend(context, curves), chart);
  node.set = (run, now) => {
    const most = Math.max(FEWEST_PASSES, now.x), { history } = run.problem.minimum;
    const shown = history.filter(({ passes }) => passes <= now.x);
    const points = [
      [...run.history.map(({ x, distance }) => [x, distance]), [now.x, now.distance]].filter(([, value]) => Number.isFinite(value)),
      shown.map(({ passes, gap }) => [passes, gap]).filter(([, value]) => Number.isFinite(value)),
    ];
    chart.set({ most, ticks, y, points });
  };
  return node;
}
