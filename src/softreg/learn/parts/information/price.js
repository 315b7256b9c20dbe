// The price of a code that was made for the wrong distribution: cross-entropy and KL divergence.

const LEAST_SCALE_BITS = 4;

function priceBars(context) {
  const fill = (look) => el("span", { class: `fill ${look}` });
  const right = fill("price-right"), same = fill("price-right"), extra = fill("price-extra");
  const bar = (name, ...fills) =>
    el("li", {}, el("span", {}, context.t(name)), el("span", { class: "track", "aria-hidden": "true" }, fills));
  const list = el("ul", { class: "bars price" }, bar("price.bar-right", right), bar("price.bar-wrong", same, extra));
  list.show = (entropyBits, divergence) => {
    const scale = Math.max(LEAST_SCALE_BITS, entropyBits + divergence), share = (bits) => bits / scale;
    context.mark(right, "bar.entropy", entropyBits);
    context.mark(extra, "bar.kl", divergence);
    for (const one of [right, same]) setShare(one, share(entropyBits));
    extra.style.setProperty("left", `${100 * share(entropyBits)}%`);
    setShare(extra, share(divergence));
  };
  return list;
}

/** The section on cross-entropy. */
function priceSection(context) {
  const rows = ["entropy", "kl", "cross", "reverse"], bars = priceBars(context);
  const [nats, bits] = ["nats", "bits"].map((unit) => rows.map((name) => context.number(`price.${name}.${unit}`, 4)));
  const wrong = context.number("price.huffman.wrong", 4), right = context.number("price.huffman.right", 4);
  context.onChange((state) => {
    const weights = weightsOf(state, "p"), other = weightsOf(state, "q"), p = normalizedWeights(weights), q = normalizedWeights(other);
    const found = [entropy(p), klNats(p, q), crossEntropyNats(p, q), klNats(q, p)];
    found.forEach((value, i) => {
      nats[i].set(value);
      bits[i].set(value / NATS_PER_BIT);
    });
    wrong.set(meanWordLength(weights, huffmanOf(other).words));
    right.set(meanWordLength(weights, huffmanWords(weights)));
    bars.show(found[0] / NATS_PER_BIT, found[1] / NATS_PER_BIT);
  });
  const table = makeTable(context, [null, "unit.nats", "unit.bits"], rows.map((name, i) => [`price.${name}`, nats[i], bits[i]]));
  const copy = () => context.set({ q: [...context.state.p] });
  const swap = () => context.set({ q: context.state.p, p: context.state.q });
  return [
    el("h3", {}, context.t("price.title")),
    el("p", {}, context.t("price.intro")),
    el("div", { class: "columns" },
      el("div", {}, weightBars(context, "q"), presets(context, "q"),
        el("div", { class: "buttons" }, context.button("price.copy", copy), context.button("price.swap", swap))),
      el("div", {}, bars, table)),
    el("p", {}, context.t("price.huffman", { wrong, right })),
    el("p", {}, context.t("price.loss")),
  ];
}
