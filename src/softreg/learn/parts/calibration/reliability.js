// Reliability curves of probabilities, with the exact band of each bin, as softreg.report.evaluation.reliability.

/** Probabilities of 0 .. n successes of independent trials with the probabilities p (the Poisson-binomial distribution). */
function poissonBinomial(p) {
  const masses = new Float64Array(p.length + 1);
  masses[0] = 1;
  p.forEach((success, i) => {
    for (let k = i + 1; k > 0; k--) masses[k] = masses[k] * (1 - success) + masses[k - 1] * success;
    masses[0] *= 1 - success;
  });
  return masses;
}

/** The central interval of a count: [smallest k with P(count <= k) >= tail, and with P(count <= k) >= 1 - tail]. */
function centralInterval(masses, level) {
  const tail = (1 - level) / 2;
  let sum = 0, low = -1;
  for (let k = 0; k < masses.length; k++) {
    sum += masses[k];
    if (low < 0 && sum >= tail) low = k;
    if (sum >= 1 - tail) return [low, k];
  }
  return [low, masses.length - 1];
}

/** Place of the bin of a probability among bins of equal width; a bin contains its lower edge, the last bin contains 1. */
function binOf(p, bins) {
  let bin = Math.min(Math.floor(p * bins) + 1, bins - 1);
  while (bin > 0 && bin / bins > p) bin--;
  return bin;
}

/**
 * Bins of equal width: {count, successes, predicted, observed, low, high, outside}. If the probabilities are right and
 * the rows independent, the observed share lies in [low, high] in at least 95% of samples. Empty bins have count 0 only.
 */
function reliabilityBins(p, outcome, { bins, level }) {
  const rows = Array.from({ length: bins }, () => []);
  p.forEach((share, i) => rows[binOf(share, bins)].push(i));
  return rows.map((places) => {
    const count = places.length;
    if (count === 0) return { count, outside: false };
    const inside = places.map((i) => p[i]);
    const successes = places.reduce((sum, i) => sum + outcome[i], 0), observed = successes / count;
    const predicted = inside.reduce((sum, share) => sum + share, 0) / count;
    const [low, high] = centralInterval(poissonBinomial(inside), level).map((k) => k / count);
    return { count, successes, predicted, observed, low, high, outside: observed < low || observed > high };
  });
}
