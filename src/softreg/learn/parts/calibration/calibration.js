// Part 5: calibration.

const SEEDS = 10000;
const NEAR_HALF = 0.05, ROUNDING = 1e-14, GAP_DIGITS = 5;
const SCORES = [["accuracy", 4], ["loss", 4], ["brier", 4], ["excess", 4], ["outside", 0]];

const scoresOf = (() => {
  const remember = () => remembered((seed, n, factor) => {
    const rows = simulatedRows(seed, n), p = rows.logits.map((o) => logistic(factor * o));
    const bins = reliabilityBins(p, rows.labels, { bins: BINS, level: LEVEL });
    return {
      p, bins, labels: rows.labels,
      accuracy: scaledAccuracy(rows, factor), loss: scaledLoss(rows, factor), brier: scaledBrier(rows, factor),
      excess: scaledDivergence(rows, factor), outside: bins.filter(({ outside }) => outside).length,
    };
  });
  const right = remember(), scaled = remember();
  return (seed, n, factor) => (factor === 1 ? right : scaled)(seed, n, factor);
})();

const bestOf = remembered((seed, n) => {
  const rows = simulatedRows(seed, n), factor = bestFactor(rows);
  return { factor, loss: scaledLoss(rows, factor) };
});

/** The rows whose probability is near one half. */
function rowsNearHalf({ p, labels }) {
  const near = p.map((_, i) => i).filter((i) => Math.abs(p[i] - 0.5) <= NEAR_HALF), rows = near.length;
  const ones = near.filter((i) => labels[i] === 1).length, right = near.filter((i) => (p[i] > 0.5 ? 1 : 0) === labels[i]).length;
  const [low, high] = centralInterval(poissonBinomial(near.map((i) => p[i])), LEVEL);
  return { rows, ones, right, onesShare: ones / rows, rightShare: right / rows, low, high };
}

/** Text of a score; what is only a rounding error is 0. */
function scoreText(value, digits) {
  return numberText(Math.abs(value) < ROUNDING ? 0 : value, digits);
}

/** Text of a share; a dash where there are no rows. */
function shareText(value) {
  return Number.isNaN(value) ? "\u2013" : `${numberText(100 * value, 1)}%`;
}

function scoreTable(context) {
  const number = (column) =>
    SCORES.map(([name, digits]) => context.number(`${column}.${name}`, digits, { show: (value) => scoreText(value, digits) }));
  const right = number("right"), scaled = number("scaled");
  const factor = context.number("shown.factor", 2);
  context.onChange((state) => {
    const ofRight = scoresOf(state.seed, state.rows, 1), ofScaled = scoresOf(state.seed, state.rows, state.factor);
    SCORES.forEach(([name], i) => {
      right[i].set(ofRight[name]);
      scaled[i].set(ofScaled[name]);
    });
    factor.set(state.factor);
  });
  const rows = SCORES.map(([name], i) => [`score.${name}`, right[i], scaled[i]]);
  const table = makeTable(context, [null, "score.right", "score.scaled"], rows);
  table.querySelector("thead th:last-child").append(" ", factor);
  return table;
}

/** The place of the bin that begins at the chosen probability. */
function chosenBin({ bin }) {
  return Math.round(bin * BINS);
}

/** What the chosen bin of the diagram says, as a sentence. */
function binSentence(context) {
  const number = Object.fromEntries(["count", "successes"].map((name) => [name, context.number(`bin.${name}`, 0)]));
  for (const name of ["from", "to", "predicted", "observed", "low", "high"]) {
    number[name] = context.number(`bin.${name}`, 3, { show: shareText });
  }
  const inside = context.t("bin.inside"), outside = context.t("bin.outside"), empty = el("p", {}, context.t("bin.empty"));
  const full = el("div", {}, el("p", {}, context.t("bin.sentence", number)), el("p", {}, inside, outside));
  context.onChange((state) => {
    const { bins } = scoresOf(state.seed, state.rows, state.factor), k = chosenBin(state), bin = bins[k];
    const shown = { ...bin, from: k / BINS, to: (k + 1) / BINS };
    for (const [name, node] of Object.entries(number)) node.set(shown[name] ?? NaN);
    full.hidden = bin.count === 0;
    empty.hidden = bin.count > 0;
    inside.hidden = bin.outside;
    outside.hidden = !bin.outside;
  });
  return [full, empty];
}

/** All bins as a table, for reading. */
function binTable(context) {
  const cells = BIN_PLACES.map((k) => [
    context.number(`bins.count.${k}`, 0),
    ...["predicted", "observed", "low", "high"].map((name) => context.number(`bins.${name}.${k}`, 3, { show: shareText })),
  ]);
  context.onChange((state) => {
    const { bins } = scoresOf(state.seed, state.rows, state.factor);
    bins.forEach(({ count, predicted = NaN, observed = NaN, low = NaN, high = NaN }, k) => {
      [count, predicted, observed, low, high].forEach((value, i) => cells[k][i].set(value));
    });
  });
  const heads = [null, ...["count", "predicted", "observed", "low", "high"].map((name) => `table.${name}`)];
  const rows = BIN_PLACES.map((k) => [el("span", {}, `${100 * k / BINS}\u2013${100 * (k + 1) / BINS}%`), ...cells[k]]);
  return el("details", {}, el("summary", {}, context.t("table.title")), makeTable(context, heads, rows));
}

function halfSentence(context) {
  const number = Object.fromEntries(["rows", "ones", "right", "low", "high"].map((name) => [name, context.number(`half.${name}`, 0)]));
  for (const name of ["onesShare", "rightShare"]) number[name] = context.number(`half.${name}`, 3, { show: shareText });
  context.onChange((state) => {
    const found = rowsNearHalf(scoresOf(state.seed, state.rows, state.factor));
    for (const [name, node] of Object.entries(number)) node.set(found[name]);
  });
  return el("p", {}, context.t("half", number));
}

/** What recalibration by one factor gains on these rows. The gain is shown as the difference of the two losses as shown. */
function gapSentence(context) {
  const least = context.number("best.loss", GAP_DIGITS), now = context.number("scaled.loss", GAP_DIGITS);
  const rounded = (node) => Number(Number(node.dataset.value).toFixed(GAP_DIGITS));
  const gap = context.number("best.gap", GAP_DIGITS, { show: () => (rounded(now) - rounded(least)).toFixed(GAP_DIGITS) });
  const factor = context.number("best.factor", 3);
  context.onChange((state) => {
    const best = bestOf(state.seed, state.rows), { loss } = scoresOf(state.seed, state.rows, state.factor);
    factor.set(best.factor / state.factor);
    least.set(best.loss);
    now.set(loss);
    gap.set(Math.max(0, loss - best.loss));
  });
  return el("p", {}, context.t("gap", { factor, loss: least, now, gap }));
}

definePart({
  id: "calibration",
  defaults: { factor: 1, rows: 1000, seed: 1, bin: 0.5 },
  limits: { factor: [LEAST_FACTOR, MOST_FACTOR], rows: [200, 2000], seed: [0, SEEDS - 1], bin: [0, (BINS - 1) / BINS] },
  repair: (state) => ({ rows: Math.round(state.rows), seed: Math.round(state.seed), bin: chosenBin(state) / BINS }),
  build(root, context) {
    const question = context.question({ key: "ask", choices: ["nothing", "loss", "both"], answer: "loss" });
    const diagram = reliabilityPlot(context), losses = lossPlot(context), most = context.number("most-rows", 0);
    context.onChange((state) => {
      const scores = scoresOf(state.seed, state.rows, state.factor);
      diagram.show(scores.bins, chosenBin(state));
      most.set(Math.max(...scores.bins.map(({ count }) => count)));
      losses.show(state, { ...scores, best: bestOf(state.seed, state.rows) });
    });
    const times = [["half", 0.5], ["one", 1], ["double", 2]].map(([name, factor]) =>
      context.button(`times.${name}`, () => context.set({ factor })));
    root.append(
      el("p", {}, context.t("intro")),
      el("p", {}, context.t("simulation")),
      question,
      question.reveal(
        context.slider({ value: "factor", step: 0.01, label: "factor", digits: 2, log: true }),
        el("div", { class: "buttons" }, times),
        el("div", { class: "columns" },
          el("figure", {}, diagram.node, el("figcaption", {}, context.t("diagram-caption", { most }))),
          el("figure", {}, losses.node, el("figcaption", {}, context.t("curve-caption")))),
        scoreTable(context),
        el("p", { class: "small quiet" }, context.t("scores-note")),
        el("p", {}, context.t("decisions")),
        gapSentence(context),
        el("h3", {}, context.t("bin.title")),
        context.slider({ value: "bin", step: 1 / BINS, label: "bin", digits: 1 }),
        binSentence(context),
        halfSentence(context),
        binTable(context),
        el("h3", {}, context.t("sample.title")),
        el("p", {}, context.t("sample")),
        context.slider({ value: "rows", step: 100, label: "rows", digits: 0 }),
        seedButton(context, { label: "draw", next: (seed) => (seed + 1) % SEEDS }),
      ),
    );
    context.summary(() => {
      const { seed, rows, factor } = context.state, { loss, accuracy, outside } = scoresOf(seed, rows, factor);
      return context.text("summary", {
        factor: numberText(factor, 2), accuracy: shareText(accuracy), loss: numberText(loss, 3), outside: String(outside),
      });
    });
  },
});
