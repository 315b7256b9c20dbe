// Proximal Newton steps for a small softmax regression with an l1 part: one model, dense standardised columns.
//
// Each step minimises the quadratic model plus the l1 part over the weights that are not 0 or whose gradient exceeds
// the l1 part, by coordinate descent on their Hessian. Two classes have one weight u for each column, of which they get
// -u / 2 and u / 2. The bias is the last column; that of the first of more than two classes stays.
#pragma once

#include <limits>

#include "coordinate.hpp"
#include "newton_cg.hpp"

namespace {

constexpr std::ptrdiff_t most_active = 512;           // weights whose Hessian is formed
constexpr double most_hessian_products = 6e7;         // multiplications for a Hessian
constexpr int most_sweeps = 200;                      // of coordinate descent in one step
// move^2 curvature at which sweeps end, relative to the largest before: a tenth of the last estimated gap, within these
constexpr double finest_sweeps = 1e-9, coarsest_sweeps = 1e-2;

class SmallProximal : SmallNewton {
  public:
    explicit SmallProximal(const NewtonTask& task)
        : SmallNewton(task), groups(task.q == 2 ? 1 : task.q), x(p), start(p), slope(p), kink(p), columns(p), classes(p),
          low(p, -std::numeric_limits<double>::infinity()), high(p, std::numeric_limits<double>::infinity()) {}

    // Steps until the estimated gap is below the goal; returns their number, negative where they failed.
    int run() {
        const auto part = [this](const double* theta) { return norm(theta); };
        times(t.theta, o.data());
        double value = objective(o.data(), t.theta) + norm(t.theta);
        for (int step = 0; step <= t.most_steps; ++step) {
            gradient();
            const double estimate = minimise(step ? t.gaps[step - 1] : 1.0);
            if (!std::isfinite(estimate)) return -1 - step;
            t.values[step] = value;
            t.gaps[step] = estimate;
            t.products[step] = step + 1;
            if (step == t.most_steps) return -1 - step;
            for (std::ptrdiff_t i = 0; i < p; ++i) y[i] = t.theta[i] + D[i];
            const double descent = inner(G.data(), D.data(), p) + norm(y.data()) - norm(t.theta);
            if (!search(value, descent, part)) return estimate <= t.goal ? step : -1 - step;
            if (estimate <= t.goal) return step + 1;
        }
        return -1;
    }

  private:
    std::ptrdiff_t groups;
    Numbers64 x, start, slope, kink, M;
    std::vector<std::ptrdiff_t> columns, classes;
    Numbers64 low, high;

    double norm(const double* theta) const {
        double sum = 0;
        for (std::ptrdiff_t c = 0; c < q; ++c)
            for (std::ptrdiff_t j = 0; j < k; ++j) sum += t.kink[j] * std::fabs(theta[c * k + j]);
        return sum;
    }

    // Weights that may move, column by column; returns their number.
    std::ptrdiff_t choose() {
        std::ptrdiff_t f = 0;
        for (std::ptrdiff_t j = 0; j < k; ++j)
            for (std::ptrdiff_t c = 0; c < groups; ++c) {
                if (q > 2 && c == 0 && j == k - 1) continue;
                const double* w = t.theta + c * k + j;
                const double* g = G.data() + c * k + j;
                const double now = q == 2 ? w[k] - w[0] : *w, of = q == 2 ? (g[k] - g[0]) / 2 : *g;
                if (now == 0 && t.kink[j] > 0 && !(std::fabs(of) > t.kink[j])) continue;
                columns[f] = j;
                classes[f] = c;
                x[f] = start[f] = now;
                slope[f] = of;
                kink[f++] = t.kink[j];
            }
        return f;
    }

    // The Hessian M (f, f) of loss and l2 part with respect to the chosen weights
    void hessian(std::ptrdiff_t f) {
        for (std::ptrdiff_t a = 0; a < f; ++a) {
            const double* z = t.Z + columns[a] * n;
            const double* P_a = P.data() + classes[a] * n;
            std::ptrdiff_t of_line = -1;
            for (std::ptrdiff_t c = 0; c < groups; ++c) {
                const double* P_c = P.data() + (q == 2 ? n : c * n);
                if (q == 2)
                    for (std::ptrdiff_t i = 0; i < n; ++i) S[i] = t.weights[i] * P[i] * P_c[i] * z[i];
                else if (c == classes[a])
                    for (std::ptrdiff_t i = 0; i < n; ++i) S[i] = t.weights[i] * P_a[i] * (1 - P_a[i]) * z[i];
                else
                    for (std::ptrdiff_t i = 0; i < n; ++i) S[i] = -t.weights[i] * P_a[i] * P_c[i] * z[i];
                for (of_line = 0; of_line <= a; ++of_line)
                    if (classes[of_line] == c)
                        M[a * f + of_line] = M[of_line * f + a] = inner(S.data(), t.Z + columns[of_line] * n, n);
            }
            M[a * f + a] += q == 2 ? t.ridge[columns[a]] / 2 : t.ridge[columns[a]];
        }
    }

    // D = the step to the minimum of the model; returns the decrease of the model, inf where it is too large.
    double minimise(double previous) {
        const std::ptrdiff_t f = choose();
        if (f > most_active || 0.5 * static_cast<double>(n) * f * f > most_hessian_products)
            return std::numeric_limits<double>::infinity();
        M.resize(f * f);
        hessian(f);
        Numbers64 g(slope.begin(), slope.begin() + f);
        const Weights weights{x.data(), kink.data(), low.data(), high.data(), f};
        const double accuracy = std::min(coarsest_sweeps, std::max(finest_sweeps, previous / 10));
        double first = 0;
        for (int sweep = 0; sweep < most_sweeps; ++sweep) {
            const double most = sweep_matrix(M.data(), g.data(), weights);
            first = std::max(first, most);
            if (!(most > accuracy * first)) break;
        }
        std::fill(D.begin(), D.end(), 0.0);
        double decrease = 0;
        for (std::ptrdiff_t a = 0; a < f; ++a) {
            const double move = x[a] - start[a];
            // g is now the gradient of the model at x: of a quadratic, the change is the mean of both slopes
            decrease -= (slope[a] + g[a]) / 2 * move + kink[a] * (std::fabs(x[a]) - std::fabs(start[a]));
            double* to = D.data() + classes[a] * k + columns[a];
            if (q == 2) {
                to[0] = -move / 2;
                to[k] = move / 2;
            } else {
                *to = move;
            }
        }
        return decrease;
    }
};

int small_newton(const NewtonTask& task) {
    return task.kink ? SmallProximal(task).run() : SmallNewton(task).run();
}

}  // namespace
