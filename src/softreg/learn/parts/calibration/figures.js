// The reliability diagram with its bands, and the log loss against the factor of the logits.

const BINS = 10, LEVEL = 0.95, LEAST_FACTOR = 0.25, MOST_FACTOR = 4, FACTOR_POINTS = 60;
const SQUARE_HEIGHT = 298, COUNT_HEIGHT = 60, POINT = 5;
const BIN_PLACES = Array.from({ length: BINS }, (_, k) => k);

/** A circle, or a diamond where the point lies outside its band. */
function binPoint(x, y, outside) {
  const r = outside ? POINT * 1.5 : POINT;
  return outside
    ? svg("path", { d: `M${x} ${y - r}L${x + r} ${y}L${x} ${y + r}L${x - r} ${y}Z`, fill: "var(--orange)" })
    : svg("circle", { cx: x, cy: y, r, fill: "var(--blue)" });
}

function reliabilityPlot(context) {
  const plot = makePlot(context, { xLabel: "predicted-axis", yLabel: "observed-axis", height: SQUARE_HEIGHT });
  furnish(plot.node, { role: "img" });
  plot.show = (bins, chosen) => {
    const axis = { from: 0, to: 1, ticks: [0, 0.2, 0.4, 0.6, 0.8, 1], text: (tick) => String(tick) };
    plot.axes({ x: axis, y: axis });
    const most = Math.max(...bins.map(({ count }) => count)), base = plot.y(0);
    const column = (k) => ({ x: plot.x(k / BINS) + 1, width: plot.x(1 / BINS) - plot.x(0) - 2 });
    const bars = bins.map(({ count }, k) => {
      const height = (COUNT_HEIGHT * count) / most;
      return svg("rect", { ...column(k), y: base - height, height, fill: "var(--track)" });
    });
    const filled = BIN_PLACES.filter((k) => bins[k].count > 0);
    const bands = filled.map((k) => {
      const { low, high } = bins[k], top = plot.y(high);
      return svg("rect", { ...column(k), y: top - 1, height: plot.y(low) - top + 2, rx: 2, fill: "var(--band)", "fill-opacity": 0.85 });
    });
    const frame = { y: plot.y(1), height: base - plot.y(1), fill: "none", stroke: "var(--edge)", "stroke-width": 1.5, rx: 2 };
    const points = filled.map((k) => binPoint(plot.x(bins[k].predicted), plot.y(bins[k].observed), bins[k].outside));
    const diagonal = plot.line([[0, 0], [1, 1]], { stroke: "var(--muted)", "stroke-dasharray": "4 4", "stroke-width": 1.3 });
    plot.area.replaceChildren(...bars, ...bands, diagonal, svg("rect", { ...column(chosen), ...frame }), ...points);
    const outside = String(bins.filter((bin) => bin.outside).length);
    furnish(plot.node, { "aria-label": context.text("diagram", { outside, filled: String(filled.length) }) });
  };
  return plot;
}

const lossCurve = remembered((seed, n) => {
  const rows = simulatedRows(seed, n);
  return Array.from({ length: FACTOR_POINTS + 1 }, (_, k) => {
    const factor = LEAST_FACTOR * (MOST_FACTOR / LEAST_FACTOR) ** (k / FACTOR_POINTS);
    return [factor, scaledLoss(rows, factor)];
  });
});

function lossPlot(context) {
  const plot = makePlot(context, { xLabel: "factor-axis", yLabel: "loss-axis", height: SQUARE_HEIGHT });
  const handle = context.handle(dragPoint("var(--blue)"), {
    label: () => context.text("factor"), text: (value) => numberText(value, 2),
    min: LEAST_FACTOR, max: MOST_FACTOR, step: 0.01, get: () => context.state.factor,
    set: (factor) => context.set({ factor }), at: (point) => plot.valueAt(point.x),
    move: (dx, dy) => Math.min(MOST_FACTOR, Math.max(LEAST_FACTOR, context.state.factor * 1.05 ** (dx + dy))),
  });
  const drawn = svg("g");
  plot.area.append(drawn, handle);
  plot.show = ({ seed, rows, factor }, { loss, best }) => {
    const curve = lossCurve(seed, rows), most = Math.max(1, ...curve.map(([, value]) => value)) * 1.05;
    plot.axes({
      x: { from: LEAST_FACTOR, to: MOST_FACTOR, log: true, ticks: [0.25, 0.5, 1, 2, 4], text: String },
      y: { from: 0, to: most, ticks: ticksTo(most), text: (tick) => numberText(tick, 1) },
    });
    drawn.replaceChildren(
      plot.line([[best.factor, 0], [best.factor, best.loss]], { stroke: "var(--orange)", "stroke-dasharray": "3 3", "stroke-width": 1.3 }),
      plot.line(curve, { stroke: "var(--blue)", "stroke-width": 2.4 }),
      svg("circle", { cx: plot.x(best.factor), cy: plot.y(best.loss), r: 4, fill: "var(--orange)" }),
    );
    handle.place(plot.x(factor), plot.y(loss));
    furnish(plot.node, { "aria-label": context.text("curve") });
  };
  return plot;
}
