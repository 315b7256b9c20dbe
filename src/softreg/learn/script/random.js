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

/** `count` numbers in [0, 1) from a seed (a whole number from 0): as_uniform(hashed(arange(count), seed)) in softreg. */
function seededUniforms(seed, count) {
  return Array.from({ length: count }, (_, i) => Number(splitMixWord(i, seed) >> 11n) * 2 ** -53);
}
