// Decoders of the codes of the page, which only encodes.

/** The `count` labels of the message that the binary fraction 0.bits belongs to. */
function decodedBits(bits, count, weights) {
  const sums = cumulativeWeights(weights), total = sums[weights.length], labels = [];
  let point = BigInt(`0b0${bits}`), denominator = 1n << BigInt(bits.length);
  for (let i = 0; i < count; i++) {
    let label = 0;
    while (label < weights.length - 1 && point * total >= sums[label + 1] * denominator) label++;
    labels.push(label);
    point = point * total - sums[label] * denominator;
    denominator *= BigInt(weights[label]);
  }
  return labels;
}

/** The `count` labels that `encodedLabels` encoded with the same probabilities. */
function decodedBytes(bytes, count, p) {
  const edges = quantizedEdges(p), labels = [];
  let position = 0, point = 0n, length = CODER_MASK;
  const next = () => BigInt(position < bytes.length ? bytes[position++] : 0);
  for (let k = 0; k < 8; k++) point = (point << 8n) | next();
  for (let i = 0; i < count; i++) {
    const unit = length >> CODER_TOTAL;
    let label = 0;
    while (label < p.length - 1 && point / unit >= edges[label + 1]) label++;
    labels.push(label);
    point -= unit * edges[label];
    length = unit * (edges[label + 1] - edges[label]);
    while (length < CODER_LEAST) { point = (point << 8n) | next(); length <<= 8n; }
  }
  return labels;
}

/** Labels that a text of code words holds; null where the text ends within a word. */
function decodedWords(bits, words) {
  const labels = [];
  let word = "";
  for (const bit of bits) {
    word += bit;
    const label = words.indexOf(word);
    if (label >= 0) { labels.push(label); word = ""; }
  }
  return word === "" ? labels : null;
}
