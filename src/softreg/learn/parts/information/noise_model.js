// Label noise: with probability `noise` a label is replaced by one of the other classes, all equally likely.

/** Entropy of the noisy label given the true class, in nats: the least expected log loss of any model. */
function noiseFloor(noise, q) {
  return entropy([1 - noise, ...Array(q - 1).fill(noise / (q - 1))]);
}

/** True classes and noisy labels of n rows; row i has the true class i mod q. */
function noisyLabels(seed, { n, q, noise }) {
  const uniforms = seededUniforms(seed, 2 * n), classes = [], labels = [];
  for (let i = 0; i < n; i++) {
    classes.push(i % q);
    const other = (classes[i] + 1 + Math.floor(uniforms[2 * i + 1] * (q - 1))) % q;
    labels.push(uniforms[2 * i] < noise ? other : classes[i]);
  }
  return { classes, labels };
}

/** Log loss of a model that gives the true class the probability p and each other class (1 - p) / (q - 1). */
function lossOfConfidence(p, share, q) {
  return crossEntropyNats([1 - share, share], [p, (1 - p) / (q - 1)]);
}

/** Standard deviation of the mean log loss of n labels, for the model that knows the noise. */
function lossDeviation(noise, q, n) {
  if (noise === 0) return 0;
  return Math.sqrt((noise * (1 - noise)) / n) * Math.abs(Math.log(((1 - noise) * (q - 1)) / noise));
}

/**
 * Gradient descent on the log loss of labels of which a share differs from the true class.
 *
 * The logit of the true class is t and the others are 0, so that P(true class) = e^t / (e^t + q - 1); the loss is
 * log(e^t + q - 1) - (1 - share) t, and each step adds rate * ((1 - share) - P). Returns {t, p, loss} before each step
 * and after the last one.
 */
function noiseDescent(share, q, { steps, rate }) {
  const path = [];
  let t = 0;
  for (let step = 0; step <= steps; step++) {
    const p = 1 / (1 + (q - 1) * Math.exp(-t));
    path.push({ t, p, loss: share * t + Math.log1p((q - 1) * Math.exp(-t)) });
    t += rate * (1 - share - p);
  }
  return path;
}
