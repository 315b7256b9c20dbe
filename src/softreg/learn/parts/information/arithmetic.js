// Arithmetic coding: exact, for the steps that the page shows, and with words of 64 bits, as softreg.probability.encode_labels.

/** Sums of the weights before each label, and of all, as BigInts. */
function cumulativeWeights(weights) {
  const sums = [0n];
  for (const weight of weights) sums.push(sums[sums.length - 1] + BigInt(weight));
  return sums;
}

/**
 * The interval of a message after each of its labels, from [0, 1) on, as exact fractions {low, width, denominator}:
 * a label takes the part of the interval that corresponds to its probability, in the order of the labels.
 */
function messageIntervals(labels, weights) {
  const sums = cumulativeWeights(weights), total = sums[weights.length];
  const intervals = [{ low: 0n, width: 1n, denominator: 1n }];
  for (const label of labels) {
    const { low, width, denominator } = intervals[intervals.length - 1];
    intervals.push({
      low: low * total + width * sums[label],
      width: width * BigInt(weights[label]),
      denominator: denominator * total,
    });
  }
  return intervals;
}

/** The fewest binary digits b_1 b_2 ... whose fraction 0.b_1 b_2 ... lies in an interval, as text. */
function shortestBits({ low, width, denominator }) {
  for (let count = 0; ; count++) {
    const scale = 1n << BigInt(count);
    const point = (low * scale + denominator - 1n) / denominator;
    if (point * denominator < (low + width) * scale) return count === 0 ? "" : point.toString(2).padStart(count, "0");
  }
}

/** A fraction in [0, 1] of BigInts as decimal text: exact, or its first `digits` decimals and an ellipsis. */
function decimalFraction(numerator, denominator, digits) {
  const scaled = numerator * 10n ** BigInt(digits), exact = scaled % denominator === 0n;
  const text = (scaled / denominator).toString().padStart(digits + 1, "0");
  const decimal = `${text.slice(0, -digits)}.${text.slice(-digits)}`;
  return exact ? decimal.replace(/\.?0+$/, "") : `${decimal}\u2026`;
}

/** Decimal digits that tell both ends of an interval apart. */
function digitsOfInterval({ width, denominator }) {
  let digits = 1, size = width * 10n;
  while (size < denominator) { size *= 10n; digits++; }
  return digits + 2;
}

const CODER_TOTAL = 32n, CODER_WORD = 64n, CODER_MASK = (1n << CODER_WORD) - 1n, CODER_LEAST = 1n << (CODER_WORD - 8n);

/** Cumulative probabilities as integers from 0 to 2^32, each at least 1 above the one before. */
function quantizedEdges(p) {
  const sums = [];
  p.forEach((share, k) => sums.push(k === 0 ? share : sums[k - 1] + share));
  const q = p.length, range = 2 ** 32 - q;
  const inner = sums.slice(0, -1).map((sum, k) => Math.floor(Math.min(sum / sums[q - 1], 1) * range) + k + 1);
  return [0, ...inner, 2 ** 32].map(BigInt);
}

/** Adds one to the number that the bytes represent. */
function carryInto(bytes) {
  let index = bytes.length - 1;
  while (bytes[index] === 255) bytes[index--] = 0;
  bytes[index]++;
}

/** The bytes of labels that were predicted with the same probabilities p, equal to those of encode_labels. */
function encodedLabels(labels, p) {
  const edges = quantizedEdges(p), bytes = [];
  let low = 0n, length = CODER_MASK;
  for (const label of labels) {
    const unit = length >> CODER_TOTAL;
    low += unit * edges[label];
    length = unit * (edges[label + 1] - edges[label]);
    if (low > CODER_MASK) { low &= CODER_MASK; carryInto(bytes); }
    while (length < CODER_LEAST) {
      bytes.push(Number(low >> (CODER_WORD - 8n)));
      low = (low << 8n) & CODER_MASK;
      length <<= 8n;
    }
  }
  return endedCode(bytes, low, length);
}

/** The bytes and the fewest further ones that, followed by zeros, lie in the last interval. */
function endedCode(bytes, low, length) {
  for (let count = 0n; count <= CODER_WORD / 8n; count++) {
    const drop = CODER_WORD - 8n * count;
    let point = ((low + (1n << drop) - 1n) >> drop) << drop;
    if (point >= low + length) continue;
    if (point > CODER_MASK) { point &= CODER_MASK; carryInto(bytes); }
    for (let k = 1n; k <= count; k++) bytes.push(Number((point >> (CODER_WORD - 8n * k)) & 255n));
    break;
  }
  while (bytes.length && bytes[bytes.length - 1] === 0) bytes.pop();
  return bytes;
}
