// Part 1: from four pixels to three probabilities.

const WEIGHT_DRAG = 40;  // pixels of the screen for a change of 1
const EMPTY = "none";

/** The weights, which are dragged sideways. */
function weightsFigure(context) {
  const setting = (k, i) => (i === BIAS ? ["b", k] : ["W", 4 * k + i]);
  const figure = weightFigure(context, { weights: "W", bias: "b" }, 1, (k, i, content) => {
    const [name, at] = setting(k, i);
    return context.handle(el("div", {}, content), {
      label: () => weightName(context, k, i),
      text: (value) => numberText(value, 1),
      min: -50, max: 50, step: 0.1, sideways: true,
      get: () => context.state[name][at],
      set: (value) => context.set({ [name]: context.state[name].map((one, j) => (j === at ? value : one)) }),
      at: (point, from) => from.value + (point.x - from.point.x + from.point.y - point.y) / WEIGHT_DRAG,
    });
  });
  context.onChange(({ W, b }) => figure.set(weightRows(W), b, 2));
  return figure;
}

/** A logit as a sum, in letters, and in numbers while it is pointed at or after a click. */
function sumOf(context, k) {
  const numbers = {
    w: PIXELS.map((i) => bracketed(context, `W.${4 * k + i}`)), x: PIXELS.map((i) => context.number(`x.${i}`, 2)),
    b: bracketed(context, `b.${k}`), o: context.number(`o.${k}`, 2),
  };
  const term = (i, ...content) => [" ", el("span", { class: `term of-pixel-${i}` }, content)];
  const last = (...content) => [" ", el("span", { class: "term" }, content)];
  const letters = formula(`o_${k + 1} = `,
    PIXELS.map((i) => term(i, formulaNodes(`${i ? "+ " : ""}w_{${k + 1}${i + 1}} x_${i + 1}`))), last(formulaNodes(`+ b_${k + 1}`)));
  const filled = el("span", { class: "math filled" },
    PIXELS.map((i) => term(i, i ? "+ " : "", numbers.w[i], "\u00b7", numbers.x[i])), last("+ ", numbers.b));
  const pin = () => context.set({ filled: context.state.filled === String(k) ? EMPTY : String(k) });
  const button = el("button", { type: "button", class: `sum of-class-${k}`, onclick: pin },
    context.className(k), el("span", { class: "two-ways" }, letters, filled), el("span", { class: "result" }, "= ", numbers.o));
  context.onChange(({ x, W, b, filled: pinned }) => {
    PIXELS.forEach((i) => {
      numbers.w[i].set(W[4 * k + i]);
      numbers.x[i].set(x[i]);
    });
    numbers.b.set(b[k]);
    numbers.o.set(logits(x, weightRows(W), b)[k]);
    furnish(button, { "aria-pressed": String(pinned === String(k)) });
  });
  return button;
}

/** A number that stands in parentheses where it is negative. */
function bracketed(context, name) {
  return context.number(name, 1, { show: (value) => (value < 0 ? `(${numberText(value, 1)})` : numberText(value, 1)) });
}

/** Logits, their exponentials and probabilities, one class a row. */
function stepsTable(context) {
  const heads = { o: el("span"), e: el("span") };
  const cells = CLASSES.map((k) => ({
    o: [context.number(`s.${k}`, 2), signedBar(classColour(k))],
    e: [context.number(`e.${k}`, 3), plainBar(classColour(k))],
    p: [context.number(`p.${k}`, 3), plainBar(classColour(k))],
  }));
  const fields = CLASSES.map((k) => Object.fromEntries(Object.entries(cells[k]).map(([name, content]) => [name, el("td", {}, content)])));
  const sum = context.number("sum", 3), total = context.number("total", 3);
  const table = el("table", { class: "steps" },
    el("thead", {}, el("tr", {}, el("td"),
      el("th", { scope: "col" }, context.t("column.logit"), " ", heads.o),
      el("th", { scope: "col" }, context.t("column.exp"), " ", heads.e),
      el("th", { scope: "col" }, context.t("column.probability"), " ", formula("p")))),
    el("tbody", {}, CLASSES.map((k) => el("tr", {}, el("th", { scope: "row" }, context.className(k)), Object.values(fields[k])))),
    el("tfoot", {}, el("tr", {}, el("th", { scope: "row" }, context.t("sum")), el("td"), el("td", {}, sum), el("td", {}, total))));
  table.set = ({ shift, T }, shifted, positive, p) => {
    const inner = shift === 0 ? "o" : "o + c";
    heads.o.replaceChildren(formula(inner));
    heads.e.replaceChildren(formula(T === 1 ? `exp(${inner})` : shift === 0 ? "exp(o / T)" : "exp((o + c) / T)"));
    const most = { o: Math.max(3, ...shifted.map(Math.abs)), e: Math.max(...positive) };
    const total1 = positive.reduce((all, one) => all + one, 0);
    CLASSES.forEach((k) => {
      const show = (name, value, share) => {
        cells[k][name][0].set(value);
        cells[k][name][1].set(share);
      };
      show("o", shifted[k], shifted[k] / most.o);
      show("e", positive[k], positive[k] === most.e ? 1 : positive[k] / most.e);
      show("p", p[k], p[k]);
      fields[k].o.classList.toggle("top", k === argmax(shifted));
      fields[k].p.classList.toggle("top", k === argmax(p));
    });
    sum.set(total1);
    total.set(p.reduce((all, one) => all + one, 0));
  };
  return table;
}

definePart({
  id: "image",
  defaults: { x: [1, 0.5, 0, 0.5], W: [2, 0, -1, 0, -1, 1, 2, 0, 0, 1, 1, 1], b: [0.5, -0.5, 0], filled: EMPTY, shift: 0, T: 1 },
  limits: { x: [0, 1], W: [-50, 50], b: [-50, 50], shift: [-10, 10], T: [0.1, 10] },
  choices: { filled: [EMPTY, "0", "1", "2"] },
  build(root, context) {
    const { t } = context;
    const now = () => {
      const { x, W, b, shift, T } = context.state, o = logits(x, weightRows(W), b), shifted = o.map((one) => one + shift);
      return { o, shifted, p: softmax(shifted, T), positive: shifted.map((one) => Math.exp(one / T)) };
    };
    const image = pixelFigure(context), weights = weightsFigure(context), sums = CLASSES.map((k) => sumOf(context, k));
    const figures = el("div", {},
      el("div", { class: "columns pixels-and-weights" },
        el("figure", {}, image, el("figcaption", {}, t("drag-pixels"))),
        el("figure", {}, weights, el("figcaption", {}, t("drag-weights")))),
      el("div", { class: "sums" }, sums));
    CLASSES.forEach((k) => lightOnPointing(figures, sums[k], `.cell.of-class-${k}, .pixel`));
    PIXELS.forEach((i) => lightOnPointing(figures, image.querySelector(`.of-pixel-${i}`), `.cell.of-pixel-${i}, .term.of-pixel-${i}`));

    const table = stepsTable(context), wholes = [0, 1, 2].map(() => wholeBar(context, "p"));
    const names = () => {
      const { shifted, p } = now();
      return { logit: context.text(`class.${argmax(shifted)}`), probability: context.text(`class.${argmax(p)}`) };
    };
    const shiftedNumbers = CLASSES.map((k) => context.number(`s.${k}`, 2));
    const shiftedBars = el("p", { class: "shifted" },
      t("shifted-logits"), CLASSES.map((k) => el("span", {}, context.className(k), " ", shiftedNumbers[k])));
    const overflow = el("p", { class: "hint" }, t("overflow"));
    const first = context.question({ key: "question", choices: ["divide", "largest", "exp"], answer: "exp" });
    const second = context.question({ key: "shifted", choices: ["grow", "sharper", "same"], answer: "same" });
    context.onChange((state) => {
      const { shifted, p, positive } = now();
      shiftedNumbers.forEach((number, k) => number.set(shifted[k]));
      table.set(state, shifted, positive, p);
      for (const whole of wholes) whole.set(p);
      overflow.hidden = positive.every(Number.isFinite) && positive.some((one) => one > 0);
    });
    context.summary(() => CLASSES.map((k) => `${context.text(`class.${k}`)} ${numberText(now().p[k], 2)}`).join(", "));

    root.append(
      el("p", {}, t("lead")), el("p", {}, t("weights")), figures, el("p", { class: "hint" }, t("point")),
      el("h3", {}, t("softmax-title")), el("p", {}, t("logits")), first,
      first.reveal(
        el("p", { class: "display" }, formula("p_k = exp(o_k) / (exp(o_1) + exp(o_2) + exp(o_3))")),
        table, wholes[0], el("p", { class: "hint" }, t("whole")), el("p", {}, t("argmax", names)), overflow,
        el("h3", {}, t("shift-title")), second,
        second.reveal(
          context.slider({ value: "shift", step: 0.1, label: "shift", digits: 1 }),
          shiftedBars, wholes[1], el("p", { class: "hint" }, t("shift-hint"))),
        el("h3", {}, t("temperature-title")), el("p", {}, t("temperature")),
        context.slider({ value: "T", step: 0.01, label: "T", digits: 2, log: true }),
        wholes[2], el("p", { class: "hint" }, t("temperature-hint")),
      ),
    );
  },
});
