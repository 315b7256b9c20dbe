// Pseudorandom numbers from keys, the same as those of softreg.splitmix: SplitMix64 (Steele, Lea and Flood, 2014).

const WORD_MASK = (1n << 64n) - 1n;
const GOLDEN_GAMMA = 0x9e3779b97f4a7c15n;
const MIX_1 = 0xbf58476d1ce4e5b9n, MIX_2 = 0x94d049bb133111ebn;

/** The 64-bit word at a position of the sequence that starts from a state, as a BigInt. */
function splitMixWord(position, start) {
  let word = (BigInt(start) + (BigInt(position) + 1n) * GOLDEN_GAMMA) & WORD_MASK;
  word = ((word ^ (word >> 30n)) * MIX_1) & WORD_MASK;
  word = ((word ^ (word >> 27n)) * MIX_2) & WORD_MASK;
  return word ^ (word >> 31n);
}

/** The number in [0, 1) at a position of the sequence of a seed, both whole numbers from 0. */
function uniformAt(position, seed) {
  return Number(splitMixWord(position, seed) >> 11n) * 2 ** -53;
}

/** The first `count` numbers of a seed: as_uniform(hashed(arange(count), seed)) in softreg. */
function seededUniforms(seed, count) {
  return Array.from({ length: count }, (_, i) => uniformAt(i, seed));
}

/** A function that returns the numbers of a seed one after the other. */
function uniformSequence(seed) {
  let position = 0;
  return () => uniformAt(position++, seed);
}

/** A whole number from `least` to `most`, both included. */
function wholeNumber(uniform, least, most) {
  return least + Math.floor(uniform() * (most - least + 1));
}

/** The order (n) of a shuffle by Fisher and Yates. */
function shuffledOrder(n, uniform) {
  const order = Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = wholeNumber(uniform, 0, i);
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}
