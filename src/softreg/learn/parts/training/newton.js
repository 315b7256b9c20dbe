// A damped Newton method for the objective of `training.js`, and the Cholesky factor that it needs.

const MOST_NEWTON_PASSES = 60;
const SUFFICIENT_DECREASE = 1e-4;
const SMALLEST_STEP = 1e-8;
const NEWTON_GAP = 1e-24;
const JITTERS = [0, 1e-13, 1e-10, 1e-7, 1e-4];

/**
 * The lower Cholesky factor of a symmetric matrix A (n x n), row by row; null if A is not positive definite.
 * @returns {Float64Array | null}
 */
function choleskyFactor(A, n) {
  const L = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = A[i * n + j];
      for (let k = 0; k < j; k++) sum -= L[i * n + k] * L[j * n + k];
      if (i > j) L[i * n + j] = sum / L[j * n + j];
      else if (sum > 0) L[i * n + i] = Math.sqrt(sum);
      else return null;
    }
  }
  return L;
}

/** The solution x (n) of `L L^T x = b`. */
function choleskySolve(L, b, n) {
  const x = Float64Array.from(b);
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < i; k++) x[i] -= L[i * n + k] * x[k];
    x[i] /= L[i * n + i];
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let k = i + 1; k < n; k++) x[i] -= L[k * n + i] * x[k];
    x[i] /= L[i * n + i];
  }
  return x;
}

/**
 * Orthonormal contrasts of q classes, (q x (q - 1)): a shift common to all classes changes no probability, and the
 * minimum is among the parameters without it.
 */
function classContrasts(q) {
  const T = new Float64Array(q * (q - 1));
  for (let a = 0; a < q - 1; a++) {
    const length = Math.sqrt((a + 1) * (a + 2));
    for (let k = 0; k <= a; k++) T[k * (q - 1) + a] = 1 / length;
    T[(a + 1) * (q - 1) + a] = -(a + 1) / length;
  }
  return T;
}

/**
 * Value, gradient and Hessian in the contrasts, by one pass over the rows.
 * @returns {{value: number, g: Float64Array, H: Float64Array}} parameter (a, j) stands at `a * (d + 1) + j`, the bias
 *     at j = d
 */
function contrastDerivatives(rows, parameters, strength, T) {
  const { n, d, q, X, y } = rows, r = q - 1, width = d + 1, size = r * width;
  const g = new Float64Array(size), H = new Float64Array(size * size), o = new Float64Array(q);
  const z = new Float64Array(width), C = new Float64Array(r * r);
  let loss = 0;
  for (let i = 0; i < n; i++) {
    rowLogits(rows, parameters, i, o);
    loss += rowLoss(o, y[i]) / n;
    softmaxInPlace(o);
    z.set(X.subarray(i * d, (i + 1) * d));
    z[d] = 1;
    contrastCurvature(o, T, q, C);
    o[y[i]] -= 1;
    for (let a = 0; a < r; a++) {
      let residual = 0;
      for (let k = 0; k < q; k++) residual += T[k * r + a] * o[k];
      for (let j = 0; j < width; j++) g[a * width + j] += (z[j] * residual) / n;
      for (let c = 0; c <= a; c++) addOuterProduct(z, C[a * r + c] / n, H, size, a * width, c * width);
    }
  }
  for (let a = 0; a < r; a++) {
    for (let j = 0; j < d; j++) {
      const at = a * width + j;
      for (let k = 0; k < q; k++) g[at] += strength * T[k * r + a] * parameters.W[j * q + k];
      H[at * size + at] += strength;
    }
  }
  return { value: loss + ridgePenalty(parameters, strength), g, H };
}

/** Write `T^T (diag(p) - p p^T) T` to C. */
function contrastCurvature(p, T, q, C) {
  const r = q - 1;
  for (let a = 0; a < r; a++) {
    for (let c = 0; c < r; c++) {
      let square = 0, left = 0, right = 0;
      for (let k = 0; k < q; k++) {
        square += T[k * r + a] * p[k] * T[k * r + c];
        left += T[k * r + a] * p[k];
        right += T[k * r + c] * p[k];
      }
      C[a * r + c] = square - left * right;
    }
  }
}

/** Add `scale * z z^T` to the block of H at a row and column. */
function addOuterProduct(z, scale, H, size, row, column) {
  for (let i = 0; i < z.length; i++) {
    if (z[i] === 0) continue;
    const start = (row + i) * size + column;
    for (let j = 0; j < z.length; j++) H[start + j] += scale * z[i] * z[j];
  }
}

/** The Newton direction { W, b } and its slope, by the first jitter of the diagonal that has a Cholesky factor. */
function newtonDirection({ g, H }, d, q, T) {
  const r = q - 1, width = d + 1, size = r * width;
  for (const jitter of JITTERS) {
    const A = H.slice();
    for (let i = 0; i < size; i++) A[i * size + i] += jitter * Math.max(1, H[i * size + i]);
    const factor = choleskyFactor(A, size);
    if (!factor) continue;
    const step = choleskySolve(factor, g, size), D = zeroParameters(d, q);
    let slope = 0;
    for (let at = 0; at < size; at++) {
      const a = Math.floor(at / width), j = at % width;
      slope -= step[at] * g[at];
      for (let k = 0; k < q; k++) {
        if (j < d) D.W[j * q + k] -= T[k * r + a] * step[at];
        else D.b[k] -= T[k * r + a] * step[at];
      }
    }
    return { D, slope };
  }
  return null;
}

/** The parameters `start + length * D`. */
function along(start, D, length) {
  return { W: start.W.map((w, j) => w + length * D.W[j]), b: start.b.map((b, k) => b + length * D.b[k]) };
}

/** Whether every row has its own class above all others by a positive margin: without a penalty there is no minimum. */
function classesSeparated(rows, parameters) {
  const o = new Float64Array(rows.q);
  for (let i = 0; i < rows.n; i++) {
    rowLogits(rows, parameters, i, o);
    for (let k = 0; k < rows.q; k++) if (k !== rows.y[i] && o[k] >= o[rows.y[i]] - 1e-9) return false;
  }
  return true;
}

/**
 * Minimise F by Newton steps, each halved until F falls.
 * @returns {{history: object[], status: string}} a record for each point: passes over the rows so far (one for value,
 *     gradient and Hessian at a point, one for its certificate), `value`, `gap` and the
 *     parameters (with balanced bias) that they hold for. The status is "converged", "separated" or "stopped".
 */
function newtonMinimum(rows, strength) {
  const T = classContrasts(rows.q), history = [];
  let theta = zeroParameters(rows.d, rows.q), passes = 1;
  let here = contrastDerivatives(rows, theta, strength, T);
  while (true) {
    passes++;
    history.push({ passes, ...certifiedGap(rows, theta, strength) });
    if (history.at(-1).gap <= NEWTON_GAP) return { history, status: "converged" };
    if (strength === 0 && classesSeparated(rows, theta)) return { history, status: "separated" };
    const direction = newtonDirection(here, rows.d, rows.q, T);
    let next = null, length = 1;
    for (; direction && length > SMALLEST_STEP && passes < MOST_NEWTON_PASSES; length /= 2) {
      const ahead = along(theta, direction.D, length), trial = contrastDerivatives(rows, ahead, strength, T);
      passes++;
      if (trial.value <= here.value + SUFFICIENT_DECREASE * length * direction.slope + 1e-15) {
        next = { ahead, trial };
        break;
      }
    }
    if (!next) return { history, status: "stopped" };
    theta = next.ahead;
    here = next.trial;
  }
}
