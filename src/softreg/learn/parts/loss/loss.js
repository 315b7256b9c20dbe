// Part 2: the loss of a label, and its gradient. The image and the weights are those of part 1.

const ANY = "none";
const PLACES = CLASSES.flatMap((k) => [...PIXELS, BIAS].map((i) => ({ k, i, key: String(5 * k + i) })));
const SUM_TOLERANCE = 1e-9;

function network(state) {
  const W = weightRows(state.W);
  return { x: state.x, W, b: state.b, o: logits(state.x, W, state.b) };
}

/** Label, prediction and what each class adds to the loss. */
function lossTable(context) {
  const cells = CLASSES.map((k) => ({
    y: context.number(`y.${k}`, 2), p: context.number(`p.${k}`, 3),
    surprisal: context.number(`surprisal.${k}`, 3), term: context.number(`term.${k}`, 3),
  }));
  const loss = context.number("loss", 3);
  const table = el("table", { class: "steps loss-table" },
    el("thead", {}, el("tr", {}, el("td"), ["y", "p", "\u2212log p", "\u2212y log p"].map((name, i) =>
      el("th", { scope: "col" }, el("span", { class: "column-word" }, context.t(`column.${i}`)), " ", formula(name))))),
    el("tbody", {}, CLASSES.map((k) =>
      el("tr", {}, el("th", { scope: "row" }, context.className(k)), Object.values(cells[k]).map((number) => el("td", {}, number))))),
    el("tfoot", {}, el("tr", {}, el("th", { scope: "row", colspan: 4 }, context.t("loss-sum")), el("td", {}, el("strong", {}, loss)))));
  table.set = (y, o) => {
    const p = softmax(o), logs = logSoftmax(o);
    CLASSES.forEach((k) => {
      cells[k].y.set(y[k]);
      cells[k].p.set(p[k]);
      cells[k].surprisal.set(-logs[k]);
      cells[k].term.set(y[k] === 0 ? 0 : -y[k] * logs[k]);
    });
    loss.set(crossEntropy(o, y));
  };
  return table;
}

/** The loss with one weight or bias changed by a number. */
function lossWith({ x, W, b }, y, { k, i }, change) {
  const rows = W.map((row, j) => row.map((w, at) => (j === k && at === i ? w + change : w)));
  const biases = b.map((one, j) => (j === k && i === BIAS ? one + change : one));
  return crossEntropy(logits(x, rows, biases), y);
}

/** The slope of the loss between two values of a weight, beside the gradient. */
function differencesPanel(context) {
  const digits = { plus: 4, minus: 4, slope: 4, exact: 4, error: 6 }, name = el("strong");
  const numbers = Object.fromEntries(Object.keys(digits).map((key) => [key, context.number(`differences.${key}`, digits[key])]));
  const panel = el("div", { class: "differences", role: "group" },
    el("p", {}, name), context.select({ value: "h", label: "h" }),
    el("ul", {}, Object.entries(numbers).map(([key, number]) => el("li", {}, context.t(key), " ", number))));
  panel.set = (net, { y, weight, h }, slopes) => {
    panel.hidden = weight === ANY;
    const place = PLACES.find(({ key }) => key === weight), step = Number(h);
    if (!place) {
      for (const number of Object.values(numbers)) number.set(null);
      return;
    }
    const plus = lossWith(net, y, place, step), minus = lossWith(net, y, place, -step), slope = (plus - minus) / (2 * step);
    const exact = place.i === BIAS ? slopes.bias[place.k] : slopes.weights[place.k][place.i];
    name.replaceChildren(...nodesOfPlace(context, place));
    for (const [key, value] of Object.entries({ plus, minus, slope, exact, error: slope - exact })) numbers[key].set(value);
  };
  return panel;
}

function nodesOfPlace(context, { k, i }) {
  const symbol = formula(i === BIAS ? `b_${k + 1}` : `w_{${k + 1}${i + 1}}`);
  return [weightName(context, k, i), " ", symbol];
}

definePart({
  id: "loss",
  defaults: { y: [0, 1, 0], weight: ANY, h: "0.1" },
  limits: { y: [0, 1] },
  choices: { weight: [ANY, ...PLACES.map(({ key }) => key)], h: ["1", "0.1", "0.01"] },
  repair: ({ y }) => (Math.abs(y[0] + y[1] + y[2] - 1) <= SUM_TOLERANCE ? {} : { y: [0, 1, 0] }),
  build(root, context) {
    const { t } = context, image = context.part("image");
    const triangle = labelTriangle(context), gap = gapFigure(context), table = lossTable(context);
    const arrows = arrowFigure(context), panel = differencesPanel(context);
    const labelEntropy = context.number("entropy", 3), divergence = context.number("kl", 3);
    const presets = [[0, 1, 0], [0.1, 0.2, 0.7], [1, 0, 0]].map((y) =>
      el("button", { type: "button", onclick: () => context.set({ y }) }, `(${y.join(", ")})`));
    const cells = new Map();
    const heat = weightFigure(context, { weights: "gW", bias: "gb" }, 2, (k, i, content) => {
      const key = String(5 * k + i), choose = () => context.set({ weight: context.state.weight === key ? ANY : key });
      const cell = el("button", { type: "button", onclick: choose }, content);
      cells.set(key, { cell, k, i });
      return cell;
    });
    const question = context.question({ key: "question", choices: ["true", "both", "none"], answer: "both" });
    const show = () => {
      const net = network(image.state), { y, weight } = context.state, { o } = net, slopes = gradient(net.x, net.W, net.b, y);
      triangle.set(softmax(o));
      gap.set(o, logSumExp(o), y.reduce((sum, one, k) => sum + one * o[k], 0));
      table.set(y, o);
      labelEntropy.set(entropy(y));
      divergence.set(crossEntropy(o, y) - entropy(y));
      arrows.set(o, slopes.logits);
      heat.set(slopes.weights, slopes.bias, 0.5);
      panel.set(net, context.state, slopes);
      for (const [key, { cell, k, i }] of cells) {
        const value = i === BIAS ? slopes.bias[k] : slopes.weights[k][i];
        furnish(cell, { "aria-pressed": String(key === weight), "aria-label": `${weightName(context, k, i)}: ${numberText(value, 2)}` });
      }
    };
    context.onChange(show);
    image.onChange(show);
    context.summary(() => context.text("spoken", { loss: numberText(crossEntropy(network(image.state).o, context.state.y), 2) }));

    root.append(
      el("p", {}, t("lead")), el("p", {}, t("label")),
      el("div", { class: "columns" },
        el("figure", {}, triangle, el("div", { class: "buttons" }, t("labels"), presets), el("figcaption", {}, t("triangle"))),
        el("div", {}, el("p", {}, t("definition")), el("p", { class: "display" }, t("formula.loss")), table)),
      el("h3", {}, t("gap-title")), el("p", {}, t("gap")),
      el("p", { class: "display" }, t("formula.gap")),
      gap, el("p", { class: "hint" }, t("gap-hint")),
      el("p", {}, t("floor", { entropy: labelEntropy, kl: divergence })),
      el("h3", {}, t("gradient-title")), el("p", {}, t("gradient")), question,
      question.reveal(
        el("p", { class: "display" }, t("formula.logits")),
        el("figure", {}, arrows, el("figcaption", {}, t("arrows"))),
        el("h3", {}, t("weights-title")), el("p", {}, t("weights")),
        el("p", { class: "display" }, t("formula.weights")),
        el("div", { class: "columns pixels-and-weights" },
          el("figure", {}, pixelFigure(image), el("figcaption", {}, t("image"))),
          el("figure", {}, heat, el("figcaption", {}, t("heat")))),
        el("h3", {}, t("differences-title")), el("p", {}, t("differences")), panel,
      ),
    );
  },
});
