// Newton's method with conjugate gradients for a small softmax regression: one model, dense standardised columns.
//
// Arrays are class-major with a row in each lane; rows are padded to whole vectors with weight 0. The Hessian is never
// formed: its product with a direction D is  sum_i w_i J_i (D z_i) z_i^T + ridge D  for J = diag(p) - p p^T. The
// preconditioner is the Cholesky factor of the diagonal block of each class.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "functions.hpp"
#include "level.hpp"

namespace {

constexpr double armijo = 1e-4;           // sufficient decrease of a step
constexpr int most_halvings = 20;         // of a step
constexpr double loosest = 0.3, tightest = 1e-3;  // residual at which conjugate gradients end, relative to the gradient
constexpr double jitter = 1e-14;          // part of the diagonal of a block that is added to it
constexpr double loss_rounding = 1e-14;   // relative rounding error of the objective
constexpr std::ptrdiff_t most_products = 400;  // Hessian products in one Newton step

using Numbers64 = std::vector<double>;

INLINE double inner(const double* a, const double* b, std::ptrdiff_t n) {
    constexpr std::ptrdiff_t L = lanes<double>;
    Vector<double> one = {}, two = {};
    std::ptrdiff_t i = 0;
    for (; i + 2 * L <= n; i += 2 * L) {
        one += load(a + i) * load(b + i);
        two += load(a + i + L) * load(b + i + L);
    }
    for (; i + L <= n; i += L) one += load(a + i) * load(b + i);
    one += two;
    double sum = 0;
    for (std::ptrdiff_t l = 0; l < L; ++l) sum += one[l];
    for (; i < n; ++i) sum += a[i] * b[i];
    return sum;
}

INLINE void add_multiple(double* to, double factor, const double* from, std::ptrdiff_t n) {
    constexpr std::ptrdiff_t L = lanes<double>;
    const Vector<double> f = broadcast(factor);
    std::ptrdiff_t i = 0;
    for (; i + L <= n; i += L) store(to + i, load(to + i) + f * load(from + i));
    for (; i < n; ++i) to[i] += factor * from[i];
}

class SmallNewton {
  public:
    explicit SmallNewton(const NewtonTask& task)
        : t(task), n(task.n), k(task.k), q(task.q), p(q * k), o(q * n), P(q * n), U(q * n), trial(q * n), S(n), W(k * n),
          G(p), D(p), r(p), y(p), d(p), H(p), blocks(q * k * k) {}

    // Newton steps until the estimated gap is below the goal; returns the number of steps, negative where it failed.
    int run() {
        times(t.theta, o.data());
        double value = objective(o.data(), t.theta);
        std::ptrdiff_t count = 0, last = 1 << 20;
        for (int step = 0; step <= t.most_steps; ++step) {
            gradient();
            if (last > (q == 2 ? k / 16 : k / 8) + 2 && !factor()) return -1 - step;  // it costs k / 4 products, about
            double estimate = 0;
            last = direction(step ? t.gaps[step - 1] : 1.0, estimate);
            if (last < 0) return -1 - step;
            count += last;
            t.values[step] = value;
            t.gaps[step] = estimate;
            t.products[step] = static_cast<double>(count);
            if (step == t.most_steps) return -1 - step;
            if (!search(value, inner(G.data(), D.data(), p), [](const double*) { return 0.0; }))
                return estimate <= t.goal ? step : -1 - step;
            if (estimate <= t.goal) return step + 1;
        }
        return -1;
    }

  protected:
    const NewtonTask& t;
    std::ptrdiff_t n, k, q, p;
    Numbers64 o, P, U, trial, S, W, G, D, r, y, d, H, blocks;

    // Moves along D, halved until the objective, which includes the value of `more` at theta, decreases enough; `value`
    // receives it, and `o` the logits. False where no length does.
    template <class More>
    bool search(double& value, double descent, const More& more) {
        times(D.data(), U.data());
        double length = 1;
        for (int halved = 0; halved <= most_halvings; ++halved, length /= 2) {
            for (std::ptrdiff_t i = 0; i < q * n; ++i) trial[i] = o[i] + length * U[i];
            for (std::ptrdiff_t i = 0; i < p; ++i) y[i] = t.theta[i] + length * D[i];
            const double next = objective(trial.data(), y.data()) + more(y.data());
            if (next - value <= armijo * length * descent + loss_rounding * std::max(1e-3, std::fabs(value))) {
                value = next;
                std::copy(y.begin(), y.end(), t.theta);
                o.swap(trial);
                return true;
            }
        }
        return false;
    }

    void times(const double* theta, double* out) const {
        for (std::ptrdiff_t c = 0; c < q; ++c) {
            double* line = out + c * n;
            std::fill(line, line + n, 0.0);
            for (std::ptrdiff_t j = 0; j < k; ++j)
                if (theta[c * k + j] != 0) add_multiple(line, theta[c * k + j], t.Z + j * n, n);
        }
    }

    void transposed_times(const double* R, double* out) const {
        for (std::ptrdiff_t c = 0; c < q; ++c)
            for (std::ptrdiff_t j = 0; j < k; ++j) out[c * k + j] = inner(R + c * n, t.Z + j * n, n);
    }

    // Mean loss and l2 part; leaves the probabilities in P.
    double objective(const double* logits, const double* theta) {
        constexpr std::ptrdiff_t L = lanes<double>;
        double loss = 0;
        for (std::ptrdiff_t i = 0; i < n; i += L) {
            Vector<double> high = load(logits + i), rest = {};
            for (std::ptrdiff_t c = 1; c < q; ++c) {
                const Vector<double> next = load(logits + c * n + i);
                high = next > high ? next : high;
            }
            Bits<double> unseen = ~Bits<double>{};
            for (std::ptrdiff_t c = 0; c < q; ++c) {
                const Vector<double> down = load(logits + c * n + i) - high, e = exp_below<double>(down);
                const Bits<double> largest = unseen & (down == 0.0);
                rest += pick<double>(largest, Vector<double>{}, e);
                unseen &= ~largest;
                store(P.data() + c * n + i, e);
            }
            const Vector<double> share = 1.0 / (1.0 + rest);
            for (std::ptrdiff_t c = 0; c < q; ++c) store(P.data() + c * n + i, load(P.data() + c * n + i) * share);
            for (std::ptrdiff_t l = 0; l < L; ++l)
                if (t.weights[i + l] != 0)
                    loss += t.weights[i + l] * (__builtin_log1p(rest[l]) - (logits[t.codes[i + l] * n + i + l] - high[l]));
        }
        double penalty = 0;
        for (std::ptrdiff_t c = 0; c < q; ++c)
            for (std::ptrdiff_t j = 0; j < k; ++j) penalty += t.ridge[j] * theta[c * k + j] * theta[c * k + j];
        return loss + penalty / 2;
    }

    void gradient() {
        for (std::ptrdiff_t c = 0; c < q; ++c)
            for (std::ptrdiff_t i = 0; i < n; ++i) U[c * n + i] = t.weights[i] * P[c * n + i];
        for (std::ptrdiff_t i = 0; i < n; ++i) U[t.codes[i] * n + i] -= t.weights[i];
        transposed_times(U.data(), G.data());
        add_ridge(t.theta, G.data());
    }

    void add_ridge(const double* theta, double* to) const {
        for (std::ptrdiff_t c = 0; c < q; ++c)
            for (std::ptrdiff_t j = 0; j < k; ++j) to[c * k + j] += t.ridge[j] * theta[c * k + j];
    }

    // Lower factors of the blocks of the classes, (k, k) each by rows; false where one is not definite.
    bool factor() {
        const double twice = q == 2 ? 2.0 : 1.0;  // of two classes the block is then the whole Hessian
        for (std::ptrdiff_t c = 0; c < (q == 2 ? 1 : q); ++c) {
            double* A = blocks.data() + c * k * k;
            for (std::ptrdiff_t i = 0; i < n; ++i) S[i] = twice * t.weights[i] * P[c * n + i] * (1 - P[c * n + i]);
            for (std::ptrdiff_t j = 0; j < k; ++j) {
                double* line = W.data();
                const double* z = t.Z + j * n;
                for (std::ptrdiff_t i = 0; i < n; ++i) line[i] = S[i] * z[i];
                for (std::ptrdiff_t l = 0; l <= j; ++l) A[j * k + l] = inner(line, t.Z + l * n, n);
                A[j * k + j] += t.ridge[j];
            }
            for (std::ptrdiff_t j = 0; j < k; ++j) {
                for (std::ptrdiff_t l = 0; l < j; ++l)
                    A[j * k + l] = (A[j * k + l] - inner(A + j * k, A + l * k, l)) / A[l * k + l];
                const double pivot = (1 + jitter) * A[j * k + j] - inner(A + j * k, A + j * k, j);
                if (!(pivot > 0)) return false;
                A[j * k + j] = std::sqrt(pivot);
            }
        }
        return true;
    }

    // y = M^-1 r without the common shift of the classes
    void precondition() {
        for (std::ptrdiff_t c = 0; c < q; ++c) {
            const double* A = blocks.data() + (q == 2 ? 0 : c * k * k);
            double* x = y.data() + c * k;
            for (std::ptrdiff_t j = 0; j < k; ++j) x[j] = (r[c * k + j] - inner(A + j * k, x, j)) / A[j * k + j];
            for (std::ptrdiff_t j = k; j-- > 0;) {
                x[j] /= A[j * k + j];
                add_multiple(x, -x[j], A + j * k, j);
            }
        }
        for (std::ptrdiff_t j = 0; j < k; ++j) {
            double mean = 0;
            for (std::ptrdiff_t c = 0; c < q; ++c) mean += y[c * k + j];
            mean /= static_cast<double>(q);
            for (std::ptrdiff_t c = 0; c < q; ++c) y[c * k + j] -= mean;
        }
    }

    // H = Hessian times d
    void curve() {
        times(d.data(), U.data());
        std::fill(S.begin(), S.end(), 0.0);
        for (std::ptrdiff_t c = 0; c < q; ++c)
            for (std::ptrdiff_t i = 0; i < n; ++i) S[i] += P[c * n + i] * U[c * n + i];
        for (std::ptrdiff_t c = 0; c < q; ++c)
            for (std::ptrdiff_t i = 0; i < n; ++i) U[c * n + i] = t.weights[i] * P[c * n + i] * (U[c * n + i] - S[i]);
        transposed_times(U.data(), H.data());
        add_ridge(d.data(), H.data());
    }

    // D = an approximate Newton step, and half the squared Newton decrement; returns the products, or -1.
    std::ptrdiff_t direction(double previous, double& estimate) {
        std::fill(D.begin(), D.end(), 0.0);
        for (std::ptrdiff_t i = 0; i < p; ++i) r[i] = -G[i];
        precondition();
        d = y;
        double size = inner(r.data(), y.data(), p);
        const double first = size, share = std::min(loosest, std::max(tightest, std::sqrt(previous)));
        std::ptrdiff_t products = 0;
        while (products < most_products && size > share * share * first && size > 0) {
            curve();
            ++products;
            const double bend = inner(d.data(), H.data(), p);
            if (!(bend > 0)) break;
            const double length = size / bend;
            add_multiple(D.data(), length, d.data(), p);
            add_multiple(r.data(), -length, H.data(), p);
            precondition();
            const double next = inner(r.data(), y.data(), p);
            for (std::ptrdiff_t i = 0; i < p; ++i) d[i] = y[i] + next / size * d[i];
            size = next;
        }
        estimate = -inner(G.data(), D.data(), p) / 2;
        return std::isfinite(estimate) ? products : -1;
    }
};

}  // namespace
