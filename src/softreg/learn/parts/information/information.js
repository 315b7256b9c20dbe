// Part 4: label noise and information.

const SEEDS = 10000;

definePart({
  id: "information",
  defaults: {
    noise: 0.1, classes: 3, step: 40, seed: 1, labels: 4, p: [50, 25, 15, 10, 10, 10, 10, 10], message: "ABADACAB", coded: 3,
    q: [10, 20, 30, 40, 10, 10, 10, 10],
  },
  limits: {
    noise: [0, LARGEST_NOISE], classes: [2, 10], step: [0, DESCENT_STEPS], seed: [0, SEEDS - 1], labels: [2, LETTERS.length], p: [1, 100],
    q: [1, 100], coded: [0, MOST_LETTERS],
  },
  repair: (state) => ({
    ...Object.fromEntries(["classes", "step", "seed", "labels", "coded"].map((name) => [name, Math.round(state[name])])),
    p: state.p.map(Math.round), q: state.q.map(Math.round), message: lettersOf(messageOf(state)),
  }),
  build(root, context) {
    root.append(...[noiseSection, codeSection, messageSection, priceSection].flatMap((section) => section(context)));
    context.summary(() => {
      const p = normalizedWeights(weightsOf(context.state, "p")), q = normalizedWeights(weightsOf(context.state, "q"));
      const { floor } = noiseNumbers(context.state);
      const bits = (nats) => numberText(nats / NATS_PER_BIT, 3);
      return context.text("summary", {
        floor: numberText(floor, 3), entropy: bits(entropy(p)), cross: bits(crossEntropyNats(p, q)), kl: bits(klNats(p, q)),
      });
    });
  },
});
