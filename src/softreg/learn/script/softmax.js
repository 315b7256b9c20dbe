// The formulas of softmax regression for one row, in numbers that neither overflow nor vanish.

/** Logits o_k = sum_i W[k][i] x[i] + b[k]; W has a row for each class. */
function logits(x, W, b) {
  return W.map((row, k) => row.reduce((sum, w, i) => sum + w * x[i], 0) + b[k]);
}

/** log(sum_k exp(o_k)). */
function logSumExp(o) {
  const most = Math.max(...o);
  return most + Math.log(o.reduce((sum, one) => sum + Math.exp(one - most), 0));
}

/** exp(o_k / T) / sum_j exp(o_j / T). */
function softmax(o, temperature = 1) {
  const most = Math.max(...o);
  const positive = o.map((one) => Math.exp((one - most) / temperature));
  const sum = positive.reduce((total, one) => total + one, 0);
  return positive.map((one) => one / sum);
}

/** log(softmax(o / T)), also where softmax rounds to 0. */
function logSoftmax(o, temperature = 1) {
  const scaled = o.map((one) => one / temperature), all = logSumExp(scaled);
  return scaled.map((one) => one - all);
}

/** -sum_k y_k log(softmax(o)_k) in nats, of labels y that sum to 1. */
function crossEntropy(o, y) {
  const logs = logSoftmax(o);
  return -y.reduce((sum, one, k) => (one === 0 ? sum : sum + one * logs[k]), 0);
}

/** Gradients of the cross-entropy: of the logits, softmax(o) - y, and of the weights, their products with the pixels. */
function gradient(x, W, b, y) {
  const p = softmax(logits(x, W, b));
  const ofLogits = p.map((one, k) => one - y[k]);
  return { logits: ofLogits, weights: ofLogits.map((one) => x.map((pixel) => one * pixel)), bias: ofLogits };
}

/** -sum_k p_k log(p_k) in nats. */
function entropy(p) {
  return -p.reduce((sum, one) => (one > 0 ? sum + one * Math.log(one) : sum), 0);
}

/** The place of the number that is larger than all others; -1 where several are the largest. */
function soleArgmax(values) {
  const place = argmax(values);
  return values.lastIndexOf(values[place]) === place ? place : -1;
}

/** The place of the largest number; the first of equal ones. */
function argmax(values) {
  return values.indexOf(Math.max(...values));
}
