// Part 1: from four pixels to three probabilities.

const PIXELS = [0, 1, 2, 3];

/** The image: four squares that are dragged up and down. */
function pixelFigure(context) {
  const values = PIXELS.map((i) => context.number(`x.${i}`, 2, { svgText: true, attributes: { "text-anchor": "middle", "aria-hidden": "true", class: "pixel-value" } }));
  const squares = PIXELS.map((i) => {
    const square = svg("rect", { x: 2 + 102 * (i % 2), y: 2 + 102 * Math.floor(i / 2), width: 100, height: 100, rx: 4, class: "pixel" });
    return context.handle(square, {
      label: () => context.text("pixel", { number: String(i + 1) }),
      text: (value) => numberText(value, 2),
      min: 0, max: 1, step: 0.05,
      get: () => context.state.x[i],
      set: (value) => context.set({ x: context.state.x.map((one, j) => (j === i ? value : one)) }),
      at: (point, from) => from.value + (from.point.y - point.y) / 150,
    });
  });
  context.onChange(({ x }) => PIXELS.forEach((i) => {
    furnish(squares[i], { fill: grey(x[i]) });
    furnish(values[i], { x: 52 + 102 * (i % 2), y: 57 + 102 * Math.floor(i / 2), fill: x[i] > 0.5 ? "#000" : "#fff" });
    values[i].set(x[i]);
  }));
  return svg("svg", { viewBox: "0 0 206 206", class: "figure image" }, squares, values);
}

definePart({
  id: "image",
  defaults: {
    x: [1, 0.5, 0, 0.5],
    W: [2, 0, -1, 0, -1, 1, 2, 0, 0, 1, 1, 1],
    b: [0.5, -0.5, 0],
    shift: 0,
    T: 1,
  },
  limits: { x: [0, 1], W: [-100, 100], b: [-100, 100], shift: [-10, 10], T: [0.1, 10] },
  build(root, context) {
    const question = context.question({ key: "question", choices: ["a", "b", "c"], answer: "c" });
    const bars = classBars(context, "p", 3);
    root.append(
      el("p", {}, context.t("lead")),
      el("div", { class: "columns" },
        el("figure", {}, pixelFigure(context), el("figcaption", {}, context.t("drag"))),
        el("figure", {}, bars)),
      question,
      question.reveal(context.slider({ value: "shift", step: 0.1, label: "shift", digits: 1 })),
    );
    context.onChange(({ x, W, b, T, shift }) => {
      const rows = CLASSES.map((k) => W.slice(4 * k, 4 * k + 4));
      bars.set(softmax(logits(x, rows, b).map((one) => one + shift), T));
    });
  },
});
