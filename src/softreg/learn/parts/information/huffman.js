// Huffman's code: the binary prefix code of least mean length (Huffman, 1952).

/**
 * The tree and the code words of labels with positive weights.
 *
 * The two nodes of least weight are joined until one is left; of equal weights, the node that was made first is taken.
 * A node has {weight, label, code, children}: `label` is null for inner nodes, `children` is empty for leaves, and the
 * heavier child has the digit 0.
 */
function huffmanTree(weights) {
  const open = weights.map((weight, label) => ({ weight, label, order: label, code: "", children: [] }));
  let order = open.length;
  const lighterFirst = (a, b) => a.weight - b.weight || a.order - b.order;
  while (open.length > 1) {
    open.sort(lighterFirst);
    const [light, heavy] = open.splice(0, 2);
    open.push({ weight: light.weight + heavy.weight, label: null, order: order++, code: "", children: [heavy, light] });
  }
  const label = (node, code) => {
    node.code = code;
    node.children.forEach((child, digit) => label(child, `${code}${digit}`));
  };
  label(open[0], "");
  return open[0];
}

/** The nodes of a tree, each before its children. */
function treeNodes(root) {
  return [root, ...root.children.flatMap(treeNodes)];
}

/** The code word of each label as text of 0 and 1. */
function huffmanWords(weights) {
  const words = weights.map(() => "");
  for (const node of treeNodes(huffmanTree(weights))) if (node.label !== null) words[node.label] = node.code;
  return words;
}

/** Mean number of bits of code words for labels of these weights: sum_k p_k length_k. */
function meanWordLength(weights, words) {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.reduce((sum, weight, k) => sum + weight * words[k].length, 0) / total;
}
