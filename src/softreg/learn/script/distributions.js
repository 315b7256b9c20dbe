// Distributions of labels: normalized weights, cross-entropy, KL divergence, draws. softmax.js has the entropy.

const NATS_PER_BIT = Math.LN2;

/** Probabilities that are proportional to positive weights. */
function normalizedWeights(weights) {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}

/** -sum_k p_k log(q_k), with 0 log 0 = 0; infinite where p has mass and q has none. */
function crossEntropyNats(p, q) {
  return p.reduce((sum, share, k) => sum + (share > 0 ? share * (0 - Math.log(q[k])) : 0), 0);
}

/** sum_k (p_k log(p_k / q_k) - p_k + q_k): no term is negative, and nearly equal distributions keep their digits. */
function klNats(p, q) {
  return p.reduce((sum, share, k) => {
    if (share === 0) return sum + q[k];
    const t = (q[k] - share) / share;
    const close = Math.abs(t) < 0.5;
    return sum + (close ? share * (t - Math.log1p(t)) : q[k] - share + share * (Math.log(share) - Math.log(q[k])));
  }, 0);
}

/** Labels that are drawn from integer weights with one number in [0, 1) each. */
function drawnLabels(uniforms, weights) {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return uniforms.map((u) => {
    let label = 0, upper = weights[0];
    while (u * total >= upper && label < weights.length - 1) upper += weights[++label];
    return label;
  });
}
