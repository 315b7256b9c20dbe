// Rows of two classes with known probabilities, and the same rows with their logits multiplied by a factor.

/** Logits of class 1 whose probabilities are uniform on (0, 1), and labels (0 or 1) drawn with these probabilities. */
function simulatedRows(seed, n) {
  const uniforms = seededUniforms(seed, 2 * n), truth = [], logits = [], labels = [];
  for (let i = 0; i < n; i++) {
    truth.push(uniforms[2 * i]);
    logits.push(Math.log(uniforms[2 * i]) - Math.log1p(-uniforms[2 * i]));
    labels.push(uniforms[2 * i + 1] < uniforms[2 * i] ? 1 : 0);
  }
  return { truth, logits, labels };
}

/** Probability of class 1 for a logit. */
function logistic(o) {
  return 1 / (1 + Math.exp(-o));
}

function meanOf(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Mean log loss of labels for logits that are multiplied by a factor, in nats. */
function scaledLoss({ logits, labels }, factor) {
  return meanOf(logits.map((o, i) => Math.log1p(Math.exp(labels[i] === 1 ? -factor * o : factor * o))));
}

/** Share of rows whose more likely class is the label. */
function scaledAccuracy({ logits, labels }, factor) {
  return meanOf(logits.map((o, i) => ((factor * o > 0 ? 1 : 0) === labels[i] ? 1 : 0)));
}

/** Mean squared difference of the probabilities of both classes and the label: the Brier score. */
function scaledBrier({ logits, labels }, factor) {
  return meanOf(logits.map((o, i) => 2 * (logistic(factor * o) - labels[i]) ** 2));
}

/** Mean KL divergence of the true probabilities and those of the multiplied logits: the expected extra loss, in nats. */
function scaledDivergence({ truth, logits }, factor) {
  return meanOf(logits.map((o, i) => {
    const wrong = logistic(factor * o), other = logistic(-factor * o);
    return klNats([truth[i], 1 - truth[i]], [wrong, other]);
  }));
}

const LARGEST_FACTOR = 64, HALVINGS = 80;

/** The factor of least log loss on these rows (temperature scaling), by bisection on the derivative. */
function bestFactor({ logits, labels }) {
  const slope = (factor) => meanOf(logits.map((o, i) => o * (logistic(factor * o) - labels[i])));
  let low = 0, high = LARGEST_FACTOR;
  for (let k = 0; k < HALVINGS; k++) {
    const middle = (low + high) / 2;
    if (slope(middle) < 0) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}
