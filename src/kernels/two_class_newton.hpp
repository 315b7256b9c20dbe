// Newton's method for two classes: one model, dense standardised columns, an exact Hessian in every step.
//
// With u = theta_1 - theta_0, y in {-1, 1} and margins m_i = y_i u z_i, the objective is
//
//     sum_i w_i log(1 + exp(-m_i)) + sum_j ridge_j u_j^2 / 4,
//
// and value, gradient and Hessian come from one pass over the rows, strip by strip.
#pragma once

#include <vector>

#include "functions.hpp"
#include "gram.hpp"
#include "level.hpp"

namespace {

class TwoClassNewton {
  public:
    explicit TwoClassNewton(const NewtonTask& task)
        : t(task), n(task.n), k(task.k), u(k), next(k), D(k), g(k), slope(k), H(k * k), A(k * k), sign(n), o(n),
          r(grams::strip), S(grams::strip), W(grams::tile * grams::strip) {
        for (std::ptrdiff_t i = 0; i < n; ++i) sign[i] = t.codes[i] ? 1.0 : -1.0;
        for (std::ptrdiff_t j = 0; j < k; ++j) u[j] = t.theta[k + j] - t.theta[j];
    }

    // Newton steps until the estimated gap is below the goal; returns the number of steps, negative where it failed.
    int run() {
        double value = pass<true>(u.data());
        for (int step = 0; step <= t.most_steps; ++step) {
            g = slope;
            A = H;
            if (!grams::cholesky(A.data(), k)) return -1 - step;
            for (std::ptrdiff_t j = 0; j < k; ++j) D[j] = -g[j];
            grams::solve(A.data(), D.data(), k);
            const double descent = grams::dot(g.data(), D.data(), k), estimate = -descent / 2;
            if (!std::isfinite(estimate)) return -1 - step;
            t.values[step] = value;
            t.gaps[step] = estimate;
            t.products[step] = step + 1;
            if (step == t.most_steps) return -1 - step;
            const bool last = estimate <= t.goal;
            if (!search(value, descent, last)) return last ? finish(step) : -1 - step;
            if (last) return finish(step + 1);
        }
        return -1;
    }

  private:
    using Numbers64 = std::vector<double>;
    const NewtonTask& t;
    std::ptrdiff_t n, k;
    Numbers64 u, next, D, g, slope, H, A, sign, o, r, S, W;

    // Moves along D, halved until the objective decreases enough; `value` receives it. False where no length does.
    bool search(double& value, double descent, bool last) {
        double length = 1;
        for (int halved = 0; halved <= most_halvings; ++halved, length /= 2) {
            for (std::ptrdiff_t j = 0; j < k; ++j) next[j] = u[j] + length * D[j];
            const double there = last ? pass<false>(next.data()) : pass<true>(next.data());
            if (there - value <= armijo * length * descent + loss_rounding * std::max(1e-3, std::fabs(value))) {
                value = there;
                u.swap(next);
                return true;
            }
        }
        return false;
    }

    // The objective at these parameters; its gradient (k,) in `slope` and, if `curved`, the Hessian (k, k) in H.
    template <bool curved>
    double pass(const double* v) {
        std::fill(slope.begin(), slope.end(), 0.0);
        if (curved) std::fill(H.begin(), H.end(), 0.0);
        double loss = 0;
        for (std::ptrdiff_t first = 0; first < n; first += grams::strip) {
            const std::ptrdiff_t last = std::min(n, first + grams::strip);
            logits(v, first, last);
            loss += residuals(first, last, 0.0);
            add_slope(first, last);
            if (curved) grams::add_gram(t.Z, n, S.data(), first, last, k, H.data(), W.data());
        }
        double penalty = 0;
        for (std::ptrdiff_t j = 0; j < k; ++j) {
            penalty += t.ridge[j] * v[j] * v[j];
            slope[j] += t.ridge[j] / 2 * v[j];
            if (curved) H[j * k + j] += t.ridge[j] / 2;
        }
        return loss + penalty / 4;
    }

    void logits(const double* v, std::ptrdiff_t first, std::ptrdiff_t last) {
        constexpr std::ptrdiff_t L = lanes<double>;
        std::ptrdiff_t i = first;
        for (; i + 4 * L <= last; i += 4 * L) {
            Vector<double> sum[4] = {};
            for (std::ptrdiff_t j = 0; j < k; ++j) {
                const Vector<double> f = broadcast(v[j]);
                const double* z = t.Z + j * n + i;
                for (int c = 0; c < 4; ++c) sum[c] += f * load(z + c * L);
            }
            for (int c = 0; c < 4; ++c) store(o.data() + i + c * L, sum[c]);
        }
        for (; i < last; i += L) {
            Vector<double> sum = {};
            for (std::ptrdiff_t j = 0; j < k; ++j) sum += broadcast(v[j]) * load(t.Z + j * n + i);
            store(o.data() + i, sum);
        }
    }

    // Weighted residuals of a strip in r and their derivatives in S, at its logits plus a shift; returns the weighted loss.
    double residuals(std::ptrdiff_t first, std::ptrdiff_t last, double shift) {
        constexpr std::ptrdiff_t L = lanes<double>;
        Vector<double> loss = {};
        for (std::ptrdiff_t i = first; i < last; i += L) {
            const Vector<double> y = load(sign.data() + i), w = load(t.weights + i);
            const Vector<double> m = y * (load(o.data() + i) + shift), down = pick<double>(m > 0.0, -m, m);
            const Vector<double> e = exp_below<double>(down), large = 1.0 / (1.0 + e), small = e * large;
            const Vector<double> miss = pick<double>(m > 0.0, small, large);  // the probability of the other class
            store(r.data() + i - first, -y * w * miss);
            store(S.data() + i - first, w * small * large);
            loss += w * (log_one_plus<double>(e) + pick<double>(m > 0.0, Vector<double>{}, -m));
        }
        double sum[1];
        totals<double, 1>(&loss, sum);
        return sum[0];
    }

    void add_slope(std::ptrdiff_t first, std::ptrdiff_t last) {
        std::ptrdiff_t j = 0;
        for (; j + 4 <= k; j += 4) {
            double sums[4];
            grams::four_dots(t.Z + j * n + first, n, r.data(), last - first, sums);
            for (int c = 0; c < 4; ++c) slope[j + c] += sums[c];
        }
        for (; j < k; ++j) slope[j] += grams::dot(t.Z + j * n + first, r.data(), last - first);
    }

    // Balances the bias and writes parameters, gradient and loss; returns the number of steps.
    int finish(int steps) {
        for (std::ptrdiff_t first = 0; first < n; first += grams::strip)
            logits(u.data(), first, std::min(n, first + grams::strip));
        double shift = 0;
        for (int round = 0; t.balanced && round < most_balancing; ++round) {
            double imbalance = 0, bend = 0;
            for (std::ptrdiff_t first = 0; first < n; first += grams::strip) {
                const std::ptrdiff_t last = std::min(n, first + grams::strip);
                residuals(first, last, shift);
                for (std::ptrdiff_t i = 0; i < last - first; ++i) {
                    imbalance += r[i];
                    bend += S[i];
                }
            }
            if (std::fabs(imbalance) <= balanced_to || !(bend > 0)) break;
            shift -= imbalance / bend;
        }
        std::fill(slope.begin(), slope.end(), 0.0);
        double loss = 0;
        for (std::ptrdiff_t first = 0; first < n; first += grams::strip) {
            const std::ptrdiff_t last = std::min(n, first + grams::strip);
            loss += residuals(first, last, shift);
            add_slope(first, last);
        }
        u[k - 1] += shift;
        for (std::ptrdiff_t j = 0; j < k; ++j) {
            t.theta[j] = -u[j] / 2;
            t.theta[k + j] = u[j] / 2;
            t.gradient[j] = -slope[j];
            t.gradient[k + j] = slope[j];
        }
        *t.loss = loss;
        return steps;
    }
};

}  // namespace
