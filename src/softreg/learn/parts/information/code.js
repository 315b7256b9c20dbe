// A distribution of labels whose probabilities are dragged, its entropy, and Huffman's code for it.

const LETTERS = ["A", "B", "C", "D", "E", "F", "G", "H"];
const LEVEL_HEIGHT = 46, LEAF = 13, LIKELY = 100;

const huffmanOf = remembered((weights) => {
  const root = huffmanTree(weights), words = huffmanWords(weights);
  return { root, words, mean: meanWordLength(weights, words) };
});

/** Weights of the labels in use. */
function weightsOf(state, name) {
  return state[name].slice(0, state.labels);
}

/** Bars of the labels, each a slider of its weight, with probability, surprisal and code word. */
function weightBars(context, name) {
  const rows = LETTERS.map((letter, k) => {
    const share = context.number(`${name}.share.${k}`, 3), bits = context.number(`${name}.bits.${k}`, 3);
    const word = el("span", { class: "word", "data-word": `${context.id}.${name}.${k}` });
    const slider = context.slider({ value: name, index: k, step: 1, label: `label.${letter}`, digits: 0 });
    return { share, bits, word, row: el("li", {}, slider, share, bits, word) };
  });
  context.onChange((state) => {
    const weights = weightsOf(state, name), p = normalizedWeights(weights), { words } = huffmanOf(weights);
    rows.forEach(({ share, bits, word, row }, k) => {
      row.hidden = k >= state.labels;
      share.set(row.hidden ? null : p[k]);
      bits.set(row.hidden ? null : -Math.log(p[k]) / NATS_PER_BIT);
      setText(word, row.hidden ? "" : words[k]);
    });
  });
  const heads = [context.t("head.weight"), formula(name), context.t("head.bits"), context.t("head.word")];
  const group = el("div", { role: "group" },
    el("div", { class: "weights-head" }, heads.map((head) => el("span", {}, head))),
    el("ul", { class: "weights" }, rows.map(({ row }) => row)));
  context.onChange(() => furnish(group, { "aria-label": context.text("weights", { name }) }));
  return group;
}

/** Buttons that set all weights. */
function presets(context, name) {
  const set = (weightOf) => context.set({ [name]: LETTERS.map((_, k) => weightOf(k, context.state.labels)) });
  const halves = (k, labels) => 2 ** Math.max(0, labels - 2 - k);
  return el("div", { class: "buttons" },
    context.button("preset.equal", () => set(() => 10)),
    context.button("preset.halves", () => set(halves)),
    context.button("preset.likely", () => set((k) => (k === 0 ? LIKELY : 1))));
}

/** Places of the nodes of a tree: leaves side by side, each parent above the middle of its children. */
function placeNodes(root, width) {
  const leaves = treeNodes(root).filter((node) => node.label !== null), places = new Map();
  leaves.forEach((leaf, i) => places.set(leaf, { x: (width * (i + 0.5)) / leaves.length, depth: leaf.code.length }));
  const place = (node) => {
    if (!places.has(node)) {
      const [a, b] = node.children.map(place);
      places.set(node, { x: (a.x + b.x) / 2, depth: node.code.length });
    }
    return places.get(node);
  };
  place(root);
  return places;
}

/** The tree of Huffman's code as an SVG. */
function huffmanFigure(context) {
  const figure = svg("svg", { class: "figure plot", role: "img" });
  context.onChange((state) => {
    const { root, words } = huffmanOf(weightsOf(state, "p")), places = placeNodes(root, PLOT.width);
    const y = (depth) => 14 + depth * LEVEL_HEIGHT;
    const edges = [], nodes = [];
    for (const [node, { x, depth }] of places) {
      node.children.forEach((child, digit) => {
        const to = places.get(child), middle = [(x + to.x) / 2, (y(depth) + y(to.depth)) / 2];
        edges.push(svg("line", { x1: x, y1: y(depth), x2: to.x, y2: y(to.depth), stroke: "var(--edge)", "stroke-width": 1.5 }));
        const beside = { x: middle[0] + (digit ? 7 : -7), y: middle[1] + 1, "text-anchor": digit ? "start" : "end" };
        edges.push(svg("text", { ...beside, class: "digit" }, String(digit)));
      });
      nodes.push(node.label === null
        ? svg("circle", { cx: x, cy: y(depth), r: 4, fill: "var(--edge)" })
        : svg("g", {}, svg("circle", { cx: x, cy: y(depth), r: LEAF, fill: "var(--blue)" }),
          svg("text", { x, y: y(depth) + 5, "text-anchor": "middle", class: "on-blue" }, LETTERS[node.label])));
    }
    const depth = Math.max(...words.map((word) => word.length));
    const named = words.map((word, k) => `${LETTERS[k]} ${word}`);
    furnish(figure, {
      viewBox: `0 0 ${PLOT.width} ${y(depth) + LEAF + 3}`,
      "aria-label": context.text("tree.figure", { words: named.reduce((before, one) => context.text("tree.words", { before, one })) }),
    });
    figure.replaceChildren(...edges, ...nodes);
  });
  return figure;
}

/** The section on entropy and Huffman's code. */
function codeSection(context) {
  const [nats, bits, mean, excess, fixed] = [["p.nats", 4], ["p.entropy", 4], ["huffman.mean", 4], ["huffman.excess", 4], ["fixed", 0]]
    .map(([name, digits]) => context.number(name, digits));
  context.onChange((state) => {
    const weights = weightsOf(state, "p"), entropyBits = entropy(normalizedWeights(weights)) / NATS_PER_BIT;
    nats.set(entropyBits * NATS_PER_BIT);
    bits.set(entropyBits);
    mean.set(huffmanOf(weights).mean);
    excess.set(huffmanOf(weights).mean - entropyBits);
    fixed.set(Math.ceil(Math.log2(state.labels)));
  });
  return [
    el("h3", {}, context.t("code.title")),
    el("p", {}, context.t("code.intro")),
    context.slider({ value: "labels", step: 1, label: "code.labels", digits: 0 }),
    el("div", { class: "columns" },
      el("div", {}, weightBars(context, "p"), presets(context, "p")),
      el("figure", {}, huffmanFigure(context), el("figcaption", {}, context.t("tree.caption")))),
    el("p", { class: "lead" }, context.t("code.entropy", { nats, bits })),
    el("p", {}, context.t("code.huffman", { mean, excess, fixed })),
  ];
}
