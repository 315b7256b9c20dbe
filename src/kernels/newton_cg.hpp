// Newton's method with conjugate gradients for a small softmax regression: one model, dense standardised columns.
//
// Arrays are class-major with a row in each lane; rows are padded to whole vectors with weight 0. The Hessian is never
// formed: its product with a direction D is  sum_i w_i J_i (D z_i) z_i^T + ridge D  for J = diag(p) - p p^T. The
// preconditioner is the Cholesky factor of the diagonal block of each class.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "class_loss.hpp"
#include "class_products.hpp"
#include "functions.hpp"
#include "gram.hpp"
#include "level.hpp"

namespace {

constexpr double armijo = 1e-4;           // sufficient decrease of a step
constexpr int most_halvings = 20;         // of a step
constexpr double loosest = 0.3, tightest = 1e-3;  // residual at which conjugate gradients end, relative to the gradient
constexpr double gain_of_products = 0.25;       // decrease by a product, in units of the mean, at which they end far from the goal
constexpr double far_off = 100, far_nats = 1e-3;  // that is: an estimated gap of so many goals and so many nats
constexpr double flat = 0.3, growth = 2;    // slope at which a step is long enough, relative to that at its start
constexpr int most_growths = 4;
constexpr std::ptrdiff_t few_columns = 32;  // up to which factors of the classes cost as much as a few products
constexpr double loss_rounding = 1e-14;   // relative rounding error of the objective
constexpr std::ptrdiff_t most_products = 400;  // Hessian products in one Newton step
constexpr int most_balancing = 10;        // Newton steps of the bias alone
constexpr double balanced_to = 1e-14;     // difference of mean prediction and class rate at which they end
constexpr double most_bias_products = 4e6;  // multiplications for the Hessian of the bias

using Numbers64 = std::vector<double>;

INLINE double inner(const double* a, const double* b, std::ptrdiff_t n) { return grams::dot(a, b, n); }

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
        : t(task), n(task.n), k(task.k), q(task.q), p(q * k), o(q * n), P(q * n), U(q * n), trial(q * n), S(n), W(grams::tile * grams::strip),
          G(p), D(p), r(p), y(p), d(p), H(p), blocks(q * k * k) {}

    // Newton steps until the estimated gap is below the goal; returns the number of steps, negative where it failed.
    int run() {
        times(t.theta, o.data());
        double value = objective(o.data(), t.theta);
        std::ptrdiff_t count = 0, last = 1 << 20;
        for (int step = 0; step <= t.most_steps; ++step) {
            if (step) lengthen(value, inner(G.data(), D.data(), p));
            gradient();
            if (q > 2 && k > few_columns && count <= k / 2)  // a factor costs k / 4 products, about
                scale();
            else if ((!scales.empty() || last > (q == 2 ? k / 16 : k / 8) + 2) && !factor())
                return -1 - step;
            double estimate = 0;
            last = direction(step ? t.gaps[step - 1] : 1.0, estimate);
            if (last < 0) return -1 - step;
            count += last;
            t.values[step] = value;
            t.gaps[step] = estimate;
            t.products[step] = static_cast<double>(count);
            if (step == t.most_steps) return -1 - step;
            if (!search(value, inner(G.data(), D.data(), p), [](const double*) { return 0.0; }))
                return estimate <= t.goal ? finish(step) : -1 - step;
            if (estimate <= t.goal) return finish(step + 1);
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

    // Goes on along D, whose logits are in U, while the objective falls steeply; `descent` is the slope at the start.
    void lengthen(double& value, double descent) {
        double slope = descent, length = 1;
        for (int grown = 0; grown < most_growths; ++grown) {
            const double before = slope;
            slope = 0;
            for (std::ptrdiff_t c = 0; c < q; ++c)
                for (std::ptrdiff_t i = 0; i < n; ++i) slope += t.weights[i] * P[c * n + i] * U[c * n + i];
            for (std::ptrdiff_t i = 0; i < n; ++i) slope -= t.weights[i] * U[t.codes[i] * n + i];
            for (std::ptrdiff_t c = 0; c < q; ++c)
                for (std::ptrdiff_t j = 0; j < k; ++j) slope += t.ridge[j] * t.theta[c * k + j] * D[c * k + j];
            if (!(slope < flat * descent)) return;
            length *= slope > before ? std::min(growth, slope / (before - slope)) : growth;
            for (std::ptrdiff_t i = 0; i < q * n; ++i) trial[i] = o[i] + length * U[i];
            for (std::ptrdiff_t i = 0; i < p; ++i) y[i] = t.theta[i] + length * D[i];
            const double next = objective(trial.data(), y.data());
            if (!(next < value)) {
                objective(o.data(), t.theta);  // for its probabilities
                return;
            }
            value = next;
            std::copy(y.begin(), y.end(), t.theta);
            o.swap(trial);
        }
    }

    void times(const double* theta, double* out) const {
        std::ptrdiff_t used = 0;
        for (std::ptrdiff_t i = 0; i < p; ++i) used += theta[i] != 0;
        if (2 * used > p) return class_products::times(theta, t.Z, out, n, k, q);
        for (std::ptrdiff_t c = 0; c < q; ++c) {
            double* line = out + c * n;
            std::fill(line, line + n, 0.0);
            for (std::ptrdiff_t j = 0; j < k; ++j)
                if (theta[c * k + j] != 0) add_multiple(line, theta[c * k + j], t.Z + j * n, n);
        }
    }

    void transposed_times(const double* R, double* out) const {
        class_products::transposed_times(R, t.Z, out, n, k, q);
    }

    // Mean loss and l2 part; leaves the probabilities in P.
    double objective(const double* logits, const double* theta) {
        double penalty = 0;
        for (std::ptrdiff_t c = 0; c < q; ++c)
            for (std::ptrdiff_t j = 0; j < k; ++j) penalty += t.ridge[j] * theta[c * k + j] * theta[c * k + j];
        return mean_loss(logits) + penalty / 2;
    }

    double mean_loss(const double* logits) {
        return loss_of_classes(logits, t.codes, t.weights, n, q, P.data());
    }

    void gradient() {
        residuals();
        transposed_times(U.data(), G.data());
        add_ridge(t.theta, G.data());
    }

    // Weighted residuals in U
    void residuals() {
        for (std::ptrdiff_t c = 0; c < q; ++c)
            for (std::ptrdiff_t i = 0; i < n; ++i) U[c * n + i] = t.weights[i] * P[c * n + i];
        for (std::ptrdiff_t i = 0; i < n; ++i) U[t.codes[i] * n + i] -= t.weights[i];
    }

    // Balances the bias at the logits `o` and writes gradient, loss and logits; returns the number of steps.
    int finish(int steps) {
        *t.loss = mean_loss(o.data());
        residuals();
        const bool cheap = static_cast<double>(n) * q * q <= most_bias_products;
        for (int round = 0; t.balanced && cheap && round < most_balancing && move_bias(); ++round) {
            *t.loss = mean_loss(o.data());
            residuals();
        }
        transposed_times(U.data(), t.gradient);
        if (t.logits) std::copy(o.begin(), o.end(), t.logits);
        return steps;
    }

    // A Newton step of the bias from the residuals in U; false if it is balanced.
    bool move_bias() {
        const std::ptrdiff_t m = q - 1;  // the first class stays, until the mean is taken off
        Numbers64 B(m * m), step(q);
        double imbalance = 0;
        for (std::ptrdiff_t c = 0; c < q; ++c) {
            for (std::ptrdiff_t i = 0; i < n; ++i) step[c] -= U[c * n + i];
            imbalance = std::max(imbalance, std::fabs(step[c]));
        }
        if (!(imbalance > balanced_to)) return false;
        for (std::ptrdiff_t c = 0; c < m; ++c) {
            const double* p = P.data() + (c + 1) * n;
            for (std::ptrdiff_t i = 0; i < n; ++i) S[i] = t.weights[i] * p[i];
            for (std::ptrdiff_t e = 0; e < c; ++e) B[c * m + e] = -inner(S.data(), P.data() + (e + 1) * n, n);
            for (std::ptrdiff_t i = 0; i < n; ++i) B[c * m + c] += S[i] * (1 - p[i]);
        }
        if (!grams::cholesky(B.data(), m)) return false;
        grams::solve(B.data(), step.data() + 1, m);
        step[0] = 0;
        double mean = 0;
        for (std::ptrdiff_t c = 1; c < q; ++c) mean += step[c] / static_cast<double>(q);
        for (std::ptrdiff_t c = 0; c < q; ++c) {
            t.theta[c * k + k - 1] += step[c] - mean;
            for (std::ptrdiff_t i = 0; i < n; ++i) o[c * n + i] += step[c] - mean;
        }
        return true;
    }

    void add_ridge(const double* theta, double* to) const {
        for (std::ptrdiff_t c = 0; c < q; ++c)
            for (std::ptrdiff_t j = 0; j < k; ++j) to[c * k + j] += t.ridge[j] * theta[c * k + j];
    }

    // The diagonal of the Hessian, half of it spread evenly over the columns, which have variance 1
    void scale() {
        scales.resize(p);
        for (std::ptrdiff_t c = 0; c < q; ++c) {
            double sum = 0;
            for (std::ptrdiff_t i = 0; i < n; ++i) sum += S[i] = t.weights[i] * P[c * n + i] * (1 - P[c * n + i]);
            for (std::ptrdiff_t j = 0; j < k; ++j) {
                const double* z = t.Z + j * n;
                constexpr std::ptrdiff_t L = lanes<double>;
                Vector<double> squares = {};
                for (std::ptrdiff_t i = 0; i + L <= n; i += L) squares += load(S.data() + i) * load(z + i) * load(z + i);
                double own = 0;
                for (std::ptrdiff_t l = 0; l < L; ++l) own += squares[l];
                scales[c * k + j] = (sum + own) / 2 + t.ridge[j];
            }
        }
    }

    // Lower factors of the blocks of the classes, (k, k) each by rows; false where one is not definite.
    bool factor() {
        scales.clear();
        const double twice = q == 2 ? 2.0 : 1.0;  // of two classes the block is then the whole Hessian
        for (std::ptrdiff_t c = 0; c < (q == 2 ? 1 : q); ++c) {
            double* A = blocks.data() + c * k * k;
            for (std::ptrdiff_t i = 0; i < n; ++i) S[i] = twice * t.weights[i] * P[c * n + i] * (1 - P[c * n + i]);
            std::fill(A, A + k * k, 0.0);
            for (std::ptrdiff_t i = 0; i < n; i += grams::strip)
                grams::add_gram(t.Z, n, S.data() + i, i, std::min(n, i + grams::strip), k, A, W.data());
            for (std::ptrdiff_t j = 0; j < k; ++j) A[j * k + j] += t.ridge[j];
            if (!grams::cholesky(A, k)) return false;
        }
        return true;
    }

    // y = M^-1 r without the common shift of the classes
    void precondition() {
        if (!scales.empty())
            for (std::ptrdiff_t i = 0; i < p; ++i) y[i] = r[i] / scales[i];
        else
            solve_blocks();
        without_shift();
    }

    Numbers64 scales;  // a diagonal in place of the factors, or empty

    void solve_blocks() {
        for (std::ptrdiff_t c = 0; c < q; ++c) {
            const double* A = blocks.data() + (q == 2 ? 0 : c * k * k);
            double* x = y.data() + c * k;
            std::copy(r.begin() + c * k, r.begin() + (c + 1) * k, x);
            grams::solve(A, x, k);
        }
    }

    void without_shift() {
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
        const bool distant = previous > std::max(far_nats, far_off * t.goal);
        double decrease = 0;
        std::ptrdiff_t products = 0;
        while (products < most_products && size > share * share * first && size > 0) {
            curve();
            ++products;
            const double bend = inner(d.data(), H.data(), p);
            if (!(bend > 0)) break;
            const double length = size / bend;
            const double gain = length * size;
            decrease += gain;
            add_multiple(D.data(), length, d.data(), p);
            add_multiple(r.data(), -length, H.data(), p);
            if (distant && products > 1 && static_cast<double>(products) * gain < gain_of_products * decrease) break;
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
