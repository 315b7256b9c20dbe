// Softmax regression of a few rows: loss, gradient, duality gap, and stochastic gradient descent.
//
// Rows are { n, d, q, X, y }: features X (n x d) row by row, and class indices y (n). Parameters are { W, b }: weights
// W (d x q) row by row, and bias b (q). The objective is that of softreg,
//
//     F(W, b) = (1 / n) sum_i CE(y_i, softmax(x_i W + b)) + strength / 2 * ||W||^2.

const MOST_BALANCE_STEPS = 20;
const BALANCE_TOLERANCE = 1e-14;
const BALANCED = 1e-9;
const LARGEST_SHIFT = 2;
const LEAST_NUMBER = 1e-300;

/** The rows of images. */
function rowsOfImages(images, d, q) {
  const X = new Float64Array(images.length * d), y = new Int32Array(images.length);
  images.forEach((image, i) => {
    X.set(image.pixels, i * d);
    y[i] = image.label;
  });
  return { n: images.length, d, q, X, y };
}

/** The parameters 0. */
function zeroParameters(d, q) {
  return { W: new Float64Array(d * q), b: new Float64Array(q) };
}

/** A copy of parameters. */
function copyParameters({ W, b }) {
  return { W: W.slice(), b: b.slice() };
}

/** The logits of row i, written to `o` (q). */
function rowLogits({ d, q, X }, { W, b }, i, o) {
  for (let k = 0; k < q; k++) o[k] = b[k];
  for (let j = 0; j < d; j++) {
    const x = X[i * d + j];
    if (x === 0) continue;
    for (let k = 0; k < q; k++) o[k] += x * W[j * q + k];
  }
}

/** Replace logits by probabilities. */
function softmaxInPlace(o) {
  let largest = -Infinity, sum = 0;
  for (let k = 0; k < o.length; k++) largest = Math.max(largest, o[k]);
  for (let k = 0; k < o.length; k++) sum += o[k] = Math.exp(o[k] - largest);
  for (let k = 0; k < o.length; k++) o[k] /= sum;
}

/**
 * Probabilities (n x q) and the mean cross-entropy in nats.
 * @returns {{P: Float64Array, loss: number, correct: number, tied: number}} `correct` counts the rows whose class alone
 *     has the largest probability, `tied` those whose class has it together with others
 */
function predictRows(rows, parameters) {
  const { n, q, y } = rows;
  const P = new Float64Array(n * q), o = new Float64Array(q);
  let loss = 0, correct = 0, tied = 0;
  for (let i = 0; i < n; i++) {
    rowLogits(rows, parameters, i, o);
    loss += rowLoss(o, y[i]);
    softmaxInPlace(o);
    P.set(o, i * q);
    const rivals = o.filter((p, k) => k !== y[i] && p >= o[y[i]]);
    if (rivals.length === 0) correct++;
    else if (rivals.every((p) => p === o[y[i]])) tied++;
  }
  return { P, loss: n ? loss / n : 0, correct, tied };
}

/** The cross-entropy of logits: the log of the sum of `exp(o_k - o_y)`, accurate for confident rows. */
function rowLoss(o, label) {
  let top = 0;
  for (let k = 1; k < o.length; k++) if (o[k] > o[top]) top = k;
  let others = 0;
  for (let k = 0; k < o.length; k++) if (k !== top) others += Math.exp(o[k] - o[top]);
  return o[top] - o[label] + Math.log1p(others);
}

/** The penalty `strength / 2 * ||W||^2`. */
function ridgePenalty({ W }, strength) {
  let square = 0;
  for (let j = 0; j < W.length; j++) square += W[j] * W[j];
  return (strength / 2) * square;
}

/** The objective F. */
function objectiveValue(rows, parameters, strength) {
  return predictRows(rows, parameters).loss + ridgePenalty(parameters, strength);
}

/** Add `scale * x_i (p_i - y_i)^T` to G, the summand of row i; `p` (q) are its probabilities and are overwritten. */
function addRowGradient({ d, q, X, y }, i, p, scale, G) {
  p[y[i]] -= 1;
  for (let j = 0; j < d; j++) {
    const x = X[i * d + j];
    if (x === 0) continue;
    for (let k = 0; k < q; k++) G.W[j * q + k] += scale * x * p[k];
  }
  for (let k = 0; k < q; k++) G.b[k] += scale * p[k];
}

/**
 * The gradient of the mean loss of some rows, one row at a time.
 * @param {number[]} chosen indices of rows; the sum is over the first `summed` of them, divided by the number of all
 * @returns {{W: Float64Array, b: Float64Array}}
 */
function gradientByRows(rows, parameters, chosen, summed = chosen.length) {
  const G = zeroParameters(rows.d, rows.q), p = new Float64Array(rows.q);
  for (let at = 0; at < summed; at++) {
    rowLogits(rows, parameters, chosen[at], p);
    softmaxInPlace(p);
    addRowGradient(rows, chosen[at], p, 1 / chosen.length, G);
  }
  return G;
}

/** The product of matrices A (n x m) and B (m x r). */
function matrixProduct(A, B, n, m, r) {
  const C = new Float64Array(n * r);
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < r; k++) {
      let sum = 0;
      for (let j = 0; j < m; j++) sum += A[i * m + j] * B[j * r + k];
      C[i * r + k] = sum;
    }
  }
  return C;
}

/** The transpose of a matrix A (n x m). */
function transposed(A, n, m) {
  return Float64Array.from({ length: n * m }, (_, at) => A[(at % n) * m + Math.floor(at / n)]);
}

/**
 * The gradient of the mean loss of some rows as matrix products: `X^T (P - Y) / n` with `P = softmax(X W + b)`.
 * @returns {{W: Float64Array, b: Float64Array}}
 */
function gradientVectorised(rows, { W, b }, chosen) {
  const { d, q } = rows, n = chosen.length;
  const X = new Float64Array(n * d);
  chosen.forEach((i, at) => X.set(rows.X.subarray(i * d, (i + 1) * d), at * d));
  const R = matrixProduct(X, W, n, d, q);
  for (let at = 0; at < n; at++) {
    const o = R.subarray(at * q, (at + 1) * q);
    for (let k = 0; k < q; k++) o[k] += b[k];
    softmaxInPlace(o);
    o[rows.y[chosen[at]]] -= 1;
  }
  const ones = new Float64Array(n).fill(1);
  const divided = (G) => G.map((g) => g / n);
  return { W: divided(matrixProduct(transposed(X, n, d), R, d, n, q)), b: divided(matrixProduct(ones, R, 1, n, q)) };
}

/**
 * The bias at which mean prediction and class rates agree, by Newton's method in q dimensions.
 * @returns {{balanced: object, imbalance: number}} parameters with the same weights, and the difference that is left
 */
function balancedBias(rows, parameters) {
  const { n, q, y } = rows, balanced = copyParameters(parameters), p = new Float64Array(q);
  let imbalance = Infinity;
  for (let step = 0; step < MOST_BALANCE_STEPS; step++) {
    const r = new Float64Array(q), K = new Float64Array(q * q);
    for (let i = 0; i < n; i++) {
      rowLogits(rows, balanced, i, p);
      softmaxInPlace(p);
      for (let k = 0; k < q; k++) {
        r[k] += (p[k] - Number(k === y[i])) / n;
        for (let l = 0; l < q; l++) K[k * q + l] += (p[k] * (Number(k === l) - p[l])) / n;
      }
    }
    imbalance = Math.max(...r.map(Math.abs));
    if (imbalance < BALANCE_TOLERANCE) break;
    let trace = 0;
    for (let k = 0; k < q; k++) trace += K[k * q + k];
    for (let at = 0; at < K.length; at++) K[at] += trace / q + LEAST_NUMBER;
    const factor = choleskyFactor(K, q);
    if (!factor) break;
    const change = choleskySolve(factor, r, q);
    for (let k = 0; k < q; k++) balanced.b[k] -= Math.min(LARGEST_SHIFT, Math.max(-LARGEST_SHIFT, change[k]));
  }
  return { balanced, imbalance };
}

/**
 * The certified duality gap `||A + strength W||^2 / (2 strength)` at the balanced bias; A is the gradient of the loss.
 * @returns {{gap: number, bound: number, value: number, parameters: object}} the objective `value` at the balanced
 *     bias is at most `gap` above the minimum, and that at the given parameters at most `bound`; both are Infinity
 *     without a penalty and where the bias cannot be balanced to rounding
 */
function certifiedGap(rows, parameters, strength) {
  const { balanced, imbalance } = balancedBias(rows, parameters);
  const A = gradientByRows(rows, balanced, Array.from({ length: rows.n }, (_, i) => i)).W;
  let square = 0;
  for (let j = 0; j < A.length; j++) square += (A[j] + strength * balanced.W[j]) ** 2;
  const gap = imbalance <= BALANCED && (strength > 0 || square === 0) ? square / (2 * strength || 1) : Infinity;
  const value = objectiveValue(rows, balanced, strength);
  return { gap, bound: gap + Math.max(0, objectiveValue(rows, parameters, strength) - value), value, parameters: balanced };
}

/** Stochastic gradient descent with mini-batches; each pass takes the rows in a new order of the seed. */
class StochasticDescent {
  /**
   * @param {object} rows
   * @param {{seed: number, batch: number, rate: number, strength: number}} options
   */
  constructor(rows, options) {
    this.rows = rows;
    this.options = options;
    this.parameters = zeroParameters(rows.d, rows.q);
    this.uniform = uniformSequence(options.seed);
    this.steps = 0;
    this.passes = 0;
    this.at = 0;
    this.order = shuffledOrder(rows.n, this.uniform);
  }

  /** The rows of the next step; the last batch of a pass has those that are left. */
  nextBatch() {
    return this.order.slice(this.at, this.at + this.options.batch);
  }

  /** Take a step: `W <- W - rate * (gradient + strength W)`, `b <- b - rate * gradient`. Return whether a pass ends. */
  step() {
    const { rate, strength } = this.options, { W, b } = this.parameters, chosen = this.nextBatch();
    const G = gradientByRows(this.rows, this.parameters, chosen);
    for (let j = 0; j < W.length; j++) W[j] -= rate * (G.W[j] + strength * W[j]);
    for (let k = 0; k < b.length; k++) b[k] -= rate * G.b[k];
    this.steps++;
    this.at += chosen.length;
    if (this.at < this.rows.n) return false;
    this.at = 0;
    this.passes++;
    this.order = shuffledOrder(this.rows.n, this.uniform);
    return true;
  }
}
