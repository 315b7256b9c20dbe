// Labels of which a share is wrong: the least log loss of any model, and a model that learns them.

const NOISY_ROWS = 1000, DESCENT_STEPS = 200, DESCENT_RATE = 1, CURVE_POINTS = 100, LARGEST_NOISE = 0.5, STEPS_PER_FRAME = 2;

const noisyRows = remembered((seed, q, noise) => {
  const { classes, labels } = noisyLabels(seed, { n: NOISY_ROWS, q, noise });
  return labels.filter((label, i) => label !== classes[i]).length;
});

/** All that the noise figures show, from the state. */
function noiseNumbers({ noise, classes: q, step, seed }) {
  const flipped = noisyRows(seed, q, noise), share = flipped / NOISY_ROWS;
  const path = noiseDescent(share, q, { steps: DESCENT_STEPS, rate: DESCENT_RATE });
  const clean = noiseDescent(0, q, { steps: DESCENT_STEPS, rate: DESCENT_RATE });
  const floor = noiseFloor(noise, q);
  return {
    flipped, path, clean, floor, bits: floor / NATS_PER_BIT, best: noiseFloor(share, q),
    known: lossOfConfidence(1 - noise, share, q), deviation: lossDeviation(noise, q, NOISY_ROWS),
    loss: path[step].loss, p: path[step].p, cleanLoss: clean[step].loss,
  };
}

function descentPlot(context) {
  const plot = makePlot(context, { xLabel: "noise.steps", yLabel: "noise.loss-axis" });
  furnish(plot.node, { role: "img" });
  const floorName = svg("text", { class: "on-plot" }), cleanName = svg("text", { class: "on-plot", fill: "var(--muted)" });
  plot.show = ({ classes: q, step }, { path, clean, floor }) => {
    const most = Math.log(q) * 1.04;
    plot.axes({
      x: { from: 0, to: DESCENT_STEPS, ticks: [0, 50, 100, 150, 200], text: String },
      y: { from: 0, to: most, ticks: ticksTo(most), text: (tick) => numberText(tick, 1) },
    });
    const points = (all) => all.map(({ loss }, k) => [k, loss]);
    setText(floorName, context.text("noise.floor-line"));
    setText(cleanName, context.text("noise.clean-line"));
    furnish(floorName, { x: plot.x(DESCENT_STEPS), y: plot.y(floor) - 7, "text-anchor": "end" });
    furnish(cleanName, { x: plot.x(DESCENT_STEPS), y: plot.y(clean[DESCENT_STEPS].loss) - 6, "text-anchor": "end" });
    floorName.style.display = floor > most / 6 ? "" : "none";
    plot.area.replaceChildren(
      plot.line(points(clean), { stroke: "var(--muted)", "stroke-dasharray": "2 3" }),
      plot.line([[0, floor], [DESCENT_STEPS, floor]], { stroke: "var(--orange)", "stroke-dasharray": "6 4", "stroke-width": 1.6 }),
      plot.line(points(path), { stroke: "var(--blue)", "stroke-opacity": 0.3 }),
      plot.line(points(path.slice(0, step + 1)), { stroke: "var(--blue)", "stroke-width": 2.6 }),
      svg("circle", { cx: plot.x(step), cy: plot.y(path[step].loss), r: 4.5, fill: "var(--blue)" }),
      floorName, cleanName,
    );
    furnish(plot.node, { "aria-label": context.text("noise.descent-figure") });
  };
  return plot;
}

function floorPlot(context) {
  const plot = makePlot(context, { xLabel: "noise.share-axis", yLabel: "noise.floor-axis" });
  const handle = context.handle(dragPoint("var(--orange)"), {
    label: () => context.text("noise.share"), text: (value) => `${numberText(100 * value, 0)}%`,
    min: 0, max: LARGEST_NOISE, step: 0.01, get: () => context.state.noise,
    set: (noise) => context.set({ noise }), at: (point) => plot.valueAt(point.x),
  });
  const curve = svg("g");
  plot.area.append(curve, handle);
  plot.show = ({ noise, classes: q }, { floor }) => {
    const most = Math.log(q) * 1.04;
    plot.axes({
      x: { from: 0, to: LARGEST_NOISE, ticks: [0, 0.1, 0.2, 0.3, 0.4, 0.5], text: (tick) => `${100 * tick}%` },
      y: { from: 0, to: most, ticks: ticksTo(most), text: (tick) => numberText(tick, 1) },
    });
    const points = Array.from({ length: CURVE_POINTS + 1 }, (_, k) => (LARGEST_NOISE * k) / CURVE_POINTS);
    curve.replaceChildren(
      plot.line(points.map((share) => [share, noiseFloor(share, q)]), { stroke: "var(--orange)" }),
      plot.line([[noise, 0], [noise, floor]], { stroke: "var(--orange)", "stroke-dasharray": "3 3", "stroke-width": 1.2 }),
    );
    handle.place(plot.x(noise), plot.y(floor));
    furnish(plot.node, { "aria-label": context.text("noise.floor-figure") });
  };
  return plot;
}

/** A button that runs the descent from its beginning, or shows its end where the reader wants no motion. */
function trainButton(context) {
  let reached = null;
  const frame = () => {
    if (context.state.step !== reached || reached === DESCENT_STEPS) return;  // the reader has moved the slider, or the end
    reached = Math.min(DESCENT_STEPS, reached + STEPS_PER_FRAME);
    context.set({ step: reached });
    requestAnimationFrame(frame);
  };
  return context.button("noise.train", () => {
    reached = matchMedia("(prefers-reduced-motion: reduce)").matches ? DESCENT_STEPS : 0;
    context.set({ step: reached });
    requestAnimationFrame(frame);
  });
}

/** The section on label noise. */
function noiseSection(context) {
  const number = Object.fromEntries([
    ["flipped", 0], ["floor", 4], ["bits", 4], ["best", 4], ["known", 4], ["deviation", 4], ["loss", 4], ["p", 3], ["cleanLoss", 4],
  ].map(([name, digits]) => [name, context.number(`noise.${name}`, digits)]));
  const descent = descentPlot(context), floors = floorPlot(context);
  const question = context.question({ key: "ask", choices: ["zero", "tenth", "entropy"], answer: "entropy" });
  context.onChange((state) => {
    const found = noiseNumbers(state);
    for (const [name, node] of Object.entries(number)) node.set(found[name]);
    descent.show(state, found);
    floors.show(state, found);
  });
  const { flipped, floor, bits, best, known, deviation, loss, p, cleanLoss } = number;
  return [
    el("p", {}, context.t("noise.intro")),
    question,
    question.reveal(
      context.slider({ value: "noise", step: 0.01, label: "noise.share", digits: 2 }),
      context.slider({ value: "classes", step: 1, label: "noise.classes", digits: 0 }),
      context.slider({ value: "step", step: 1, label: "noise.step", digits: 0 }),
      el("div", { class: "buttons" }, trainButton(context)),
      el("div", { class: "columns" },
        el("figure", {}, descent.node, el("figcaption", {}, context.t("noise.descent-caption", { loss, p, cleanLoss }))),
        el("figure", {}, floors.node, el("figcaption", {}, context.t("noise.floor-caption", { floor, bits })))),
      el("p", {}, context.t("noise.labels", { flipped, best, known, deviation })),
      el("p", {}, context.t("noise.meaning")),
      seedButton(context, { label: "draw", next: (seed) => (seed + 1) % SEEDS }),
    ),
  ];
}
