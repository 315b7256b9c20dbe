// The gradient of the next mini-batch, one row at a time and as matrix products.

const GRADIENT_DIGITS = 4;

/** The largest absolute difference of two gradients. */
function largestDifference(left, right) {
  const of = (name) => largestSize(left[name].map((value, i) => value - right[name][i]));
  return Math.max(of("W"), of("b"));
}

/** The slider of the rows that are summed; its end is the size of the batch. */
function summedSlider(context) {
  const shown = context.number("summed", 0);
  const input = el("input", { type: "range", min: 0, step: 1, oninput: () => context.set({ summed: Number(input.value) }) });
  const node = sliderLine(context.t("summed"), input, shown);
  node.set = (summed, n) => {
    furnish(input, { max: n, "aria-valuetext": context.text("summed-of", { summed: String(summed), n: String(n) }) });
    input.value = summed;
    shown.set(summed);
  };
  return node;
}

/** The rows of the batch as a matrix: a line of pixels for each row, those that are summed marked. */
function batchMatrix() {
  const node = svg("svg", { class: "training-matrix", "aria-hidden": "true", preserveAspectRatio: "none" });
  node.set = (rows, chosen, summed) => {
    furnish(node, { viewBox: `0 0 ${IMAGE_PIXELS + 2} ${chosen.length}` });
    node.replaceChildren(...chosen.flatMap((row, at) => {
      const pixels = [...rows.X.subarray(row * rows.d, (row + 1) * rows.d)];
      const d = pixels.map((black, j) => (black ? `M${j} ${at}h1v.9h-1z` : "")).join("");
      const look = at < summed ? "training-row-done" : at === summed ? "training-row-next" : "training-row-later";
      return [
        svg("rect", { y: at, width: IMAGE_PIXELS, height: 0.9, class: "training-paper" }),
        svg("path", { d, class: `training-ink ${look}` }),
        svg("rect", { x: IMAGE_PIXELS + 0.6, y: at, width: 1.4, height: 0.9, fill: classColour(rows.y[row]), class: look }),
      ];
    }));
  };
  return node;
}

/** A table of what both ways do. */
function operationTable(context) {
  const cell = (name) => context.number(name, 0);
  const numbers = {
    rowCalls: cell("row-calls"), matrixCalls: cell("matrix-calls"),
    rowProducts: cell("row-products"), matrixProducts: cell("matrix-products"),
  };
  const node = makeTable(context, [null, "by-rows", "vectorised"],
    [["calls", numbers.rowCalls, numbers.matrixCalls], ["products", numbers.rowProducts, numbers.matrixProducts]]);
  node.set = (n) => {
    numbers.rowCalls.set(2 * n);
    numbers.matrixCalls.set(2);
    for (const products of [numbers.rowProducts, numbers.matrixProducts]) products.set(2 * n * IMAGE_PIXELS * CLASS_COUNT);
  };
  return node;
}

/** The panel: `set(run, state)`. */
function gradientPanel(context) {
  const slider = summedSlider(context), matrix = batchMatrix(), table = operationTable(context);
  const byRows = weightPictures(context, "rows", GRADIENT_DIGITS), whole = weightPictures(context, "product", GRADIENT_DIGITS);
  const difference = context.number("difference", GRADIENT_DIGITS), n = context.number("batch-rows", 0);
  const add = context.button("add-row", () => context.set({ summed: context.state.summed + 1 }));
  const all = context.button("add-all", () => context.set({ summed: context.state.batch }));
  const none = context.button("add-none", () => context.set({ summed: 0 }));
  const node = el("div", {},
    el("h3", {}, context.t("gradient-title")),
    el("p", {}, context.t("gradient-lead", { n })),
    el("p", { class: "display" },
      el("span", { class: "training-formula" }, context.formula("P = softmax(X W + b),")), " ",
      el("span", { class: "training-formula" }, context.formula("G = X^T (P \u2212 Y) / n")),
    ),
    el("p", {}, context.t("gradient-bias")),
    el("figure", {}, matrix, el("figcaption", {}, context.t("matrix-caption"))),
    slider, el("div", { class: "buttons" }, add, all, none),
    el("div", { class: "columns" },
      el("figure", {}, el("h4", {}, context.t("by-rows")), byRows, el("figcaption", {}, context.t("by-rows-caption"))),
      el("figure", {}, el("h4", {}, context.t("vectorised")), whole, el("figcaption", {}, context.t("vectorised-caption")))),
    el("p", {}, context.t("difference", { difference })),
    table, el("p", { class: "small quiet" }, context.t("operations-note")));
  node.set = (run, { summed }) => {
    const { rows } = run.problem, { parameters } = run.descent, chosen = run.descent.nextBatch();
    const count = Math.min(summed, chosen.length);
    const partial = gradientByRows(rows, parameters, chosen, count), product = gradientVectorised(rows, parameters, chosen);
    n.set(chosen.length);
    slider.set(count, chosen.length);
    matrix.set(rows, chosen, count);
    byRows.set(partial, largestSize(product.W));
    whole.set(product);
    difference.set(largestDifference(partial, product));
    table.set(chosen.length);
    add.disabled = all.disabled = count === chosen.length;
    none.disabled = count === 0;
  };
  return node;
}
