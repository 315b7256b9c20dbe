// Proximal Newton steps for a small softmax regression with an l1 part: one model, dense standardised columns.
//
// Each step minimises the quadratic model plus the l1 part over the weights that are not 0 or whose gradient exceeds
// the l1 part, by coordinate descent on their Hessian, with Newton steps of the weights that are not 0 in between. Two classes have one weight u for each column, of which they get
// -u / 2 and u / 2. The bias is the last column; that of the first of more than two classes stays.
#pragma once

#include <functional>
#include <limits>

#include "coordinate.hpp"
#include "newton_cg.hpp"
#include "two_class_newton.hpp"

namespace {

constexpr std::ptrdiff_t most_active = 512;           // weights whose Hessian is formed
constexpr double most_hessian_products = 6e7;         // multiplications for a Hessian
constexpr int most_sweeps = 200;                      // of coordinate descent in one step
// sweeps end where one adds less than this part to the decrease of the model; the second below an estimated gap
constexpr double least_gain = 0.02, fine_gain = 1e-3, fine_below = 1e-5;
constexpr std::ptrdiff_t first_weights = 50;   // weights that may enter at once, or half as many as are not 0
constexpr double sweeps_per_solve = 2;     // multiplications of sweeps before a Newton step, relative to those of the step
constexpr double added_diagonal = 1e-10;  // relative; a shift common to all classes has no curvature
constexpr double tile_gain = 3;           // how much faster tiles of columns are than single products

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
            if (!search(value, descent, part)) return estimate <= t.goal ? finish(step) : -1 - step;
            if (estimate <= t.goal) return finish(step + 1);
        }
        return -1;
    }

  private:
    std::ptrdiff_t groups;
    Numbers64 x, start, slope, kink, M, Z, gram, move, change, factor, ratios;
    std::vector<std::ptrdiff_t> columns, classes, place, free;
    Numbers64 low, high;

    double norm(const double* theta) const {
        double sum = 0;
        for (std::ptrdiff_t c = 0; c < q; ++c)
            for (std::ptrdiff_t j = 0; j < k; ++j) sum += t.kink[j] * std::fabs(theta[c * k + j]);
        return sum;
    }

    // The ratio of gradient to kink of a weight that is 0, and infinity for one that moves in any case
    double excess(std::ptrdiff_t j, double now, double of) const {
        if (now != 0 || !(t.kink[j] > 0)) return std::numeric_limits<double>::infinity();
        return std::fabs(of) / t.kink[j];
    }

    // The ratio that a weight must exceed to move, so that few enter at once
    double entry() {
        std::ptrdiff_t live = 0;
        ratios.clear();
        for (std::ptrdiff_t j = 0; j < k; ++j)
            for (std::ptrdiff_t c = 0; c < groups; ++c) {
                const double* w = t.theta + c * k + j;
                const double* g = G.data() + c * k + j;
                const double ratio = excess(j, q == 2 ? w[k] - w[0] : *w, q == 2 ? (g[k] - g[0]) / 2 : *g);
                if (std::isinf(ratio)) ++live;
                else if (ratio > 1) ratios.push_back(ratio);
            }
        const auto most = std::min(std::max(first_weights, live / 2), most_active - std::min(most_active, live));
        if (static_cast<std::ptrdiff_t>(ratios.size()) <= most) return 1;
        if (most <= 0) return std::numeric_limits<double>::max();
        std::nth_element(ratios.begin(), ratios.begin() + most, ratios.end(), std::greater<double>());
        return ratios[most];
    }

    // Weights that may move, column by column; returns their number.
    std::ptrdiff_t choose() {
        const double least = entry();
        std::ptrdiff_t f = 0;
        for (std::ptrdiff_t j = 0; j < k; ++j)
            for (std::ptrdiff_t c = 0; c < groups; ++c) {
                if (q > 2 && c == 0 && j == k - 1) continue;
                const double* w = t.theta + c * k + j;
                const double* g = G.data() + c * k + j;
                const double now = q == 2 ? w[k] - w[0] : *w, of = q == 2 ? (g[k] - g[0]) / 2 : *g;
                if (!(excess(j, now, of) > least)) continue;
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
        std::ptrdiff_t some = 0;  // columns among them
        for (std::ptrdiff_t a = 0; a < f; ++a) some += a == 0 || columns[a] != columns[a - 1];
        const double pairs = static_cast<double>(groups) * (groups + 1) / 2;
        if (pairs * some * some > tile_gain * f * f) return hessian_by_weights(f);
        Z.resize(some * n);
        place.resize(f);
        for (std::ptrdiff_t a = 0, j = -1; a < f; ++a) {
            if (a == 0 || columns[a] != columns[a - 1]) {
                ++j;
                std::copy(t.Z + columns[a] * n, t.Z + (columns[a] + 1) * n, Z.begin() + j * n);
            }
            place[a] = j;
        }
        gram.resize(some * some);
        for (std::ptrdiff_t c = 0; c < groups; ++c)
            for (std::ptrdiff_t e = c; e < groups; ++e) {
                const double *P_c = P.data() + c * n, *P_e = P.data() + (q == 2 ? n : e * n);
                for (std::ptrdiff_t i = 0; i < n; ++i)
                    S[i] = t.weights[i] * P_c[i] * (q == 2 ? P_e[i] : c == e ? 1 - P_c[i] : -P_e[i]);
                std::fill(gram.begin(), gram.end(), 0.0);
                for (std::ptrdiff_t i = 0; i < n; i += grams::strip)
                    grams::add_gram(Z.data(), n, S.data() + i, i, std::min(n, i + grams::strip), some, gram.data(),
                                    W.data());
                spread(f, c, e, some);
            }
        for (std::ptrdiff_t a = 0; a < f; ++a) M[a * f + a] += q == 2 ? t.ridge[columns[a]] / 2 : t.ridge[columns[a]];
    }

    // Copies the lower triangle of the Gram matrix of classes c and e to the weights of these classes.
    void spread(std::ptrdiff_t f, std::ptrdiff_t c, std::ptrdiff_t e, std::ptrdiff_t some) {
        for (std::ptrdiff_t a = 0; a < f; ++a) {
            if (classes[a] != c && classes[a] != e) continue;
            const std::ptrdiff_t other = classes[a] == c ? e : c;
            for (std::ptrdiff_t b = 0; b <= a; ++b)
                if (classes[b] == other) M[a * f + b] = M[b * f + a] = gram[place[a] * some + place[b]];
        }
    }

    void hessian_by_weights(std::ptrdiff_t f) {
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

    // Multiplications of a Newton step of the weights that are not 0, which are listed in `free`
    double solve_cost(std::ptrdiff_t f) {
        free.clear();
        for (std::ptrdiff_t a = 0; a < f; ++a)
            if (x[a] != 0 || kink[a] == 0) free.push_back(a);
        const auto m = static_cast<double>(free.size());
        return m * m * m / 6 + m * f;
    }

    // A Newton step of the weights in `free` at the signs that they have; those that would change it become 0. Where
    // that does not decrease the model, the step ends at the first change. g is the gradient of the model.
    void solve_free(std::ptrdiff_t f, Numbers64& g) {
        const auto m = static_cast<std::ptrdiff_t>(free.size());
        factor.resize(m * m);
        move.resize(m);
        change.resize(f);
        for (std::ptrdiff_t a = 0; a < m; ++a) {
            const std::ptrdiff_t i = free[a];
            for (std::ptrdiff_t b = 0; b <= a; ++b) factor[a * m + b] = M[i * f + free[b]];
            if (!(factor[a * m + a] > 0)) factor[a * m + a] = 1;
            factor[a * m + a] *= 1 + added_diagonal;
            move[a] = -g[i] - (x[i] > 0 ? kink[i] : x[i] < 0 ? -kink[i] : 0.0);
        }
        if (!grams::cholesky(factor.data(), m)) return;
        grams::solve(factor.data(), move.data(), m);
        double length = 1;
        for (std::ptrdiff_t a = 0; a < m; ++a) {
            const std::ptrdiff_t i = free[a];
            if (!std::isfinite(move[a])) return;
            if (kink[i] > 0 && (x[i] + move[a]) * x[i] < 0) length = std::min(length, -x[i] / move[a]);
        }
        if (try_free(f, g, 1.0) || length == 1) return;
        try_free(f, g, length);
    }

    // Moves the free weights by a part of `move`, to 0 at most, if that decreases the model.
    bool try_free(std::ptrdiff_t f, Numbers64& g, double length) {
        const auto m = static_cast<std::ptrdiff_t>(free.size());
        std::fill(change.begin(), change.end(), 0.0);
        double less = 0;
        for (std::ptrdiff_t a = 0; a < m; ++a) {
            const std::ptrdiff_t i = free[a];
            double end = x[i] + length * move[a];
            if (kink[i] > 0 && end * x[i] <= 0) end = 0;
            add_multiple(change.data(), end - x[i], M.data() + i * f, f);
            less -= g[i] * (end - x[i]) + kink[i] * (std::fabs(end) - std::fabs(x[i]));
        }
        for (std::ptrdiff_t a = 0; a < m; ++a) {
            const std::ptrdiff_t i = free[a];
            double end = x[i] + length * move[a];
            if (kink[i] > 0 && end * x[i] <= 0) end = 0;
            less -= change[i] * (end - x[i]) / 2;
        }
        if (!(less > 0)) return false;
        for (std::ptrdiff_t a = 0; a < m; ++a) {
            const std::ptrdiff_t i = free[a];
            const double end = x[i] + length * move[a];
            x[i] = kink[i] > 0 && end * x[i] <= 0 ? 0 : end;
        }
        add_multiple(g.data(), 1.0, change.data(), f);
        return true;
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
        const double gain = previous > fine_below ? least_gain : fine_gain;
        double before = 0, paid = 0;
        for (int sweep = 0; sweep < most_sweeps; ++sweep) {
            sweep_matrix(M.data(), g.data(), weights);
            const double now = decrease(f, g);
            if (!(now - before > gain * now)) break;
            before = now;
            paid += static_cast<double>(f) * f;
            if (paid >= sweeps_per_solve * solve_cost(f)) {
                solve_free(f, g);
                paid = 0;
            }
        }
        std::fill(D.begin(), D.end(), 0.0);
        for (std::ptrdiff_t a = 0; a < f; ++a) {
            const double move = x[a] - start[a];
            double* to = D.data() + classes[a] * k + columns[a];
            if (q == 2) {
                to[0] = -move / 2;
                to[k] = move / 2;
            } else {
                *to = move;
            }
        }
        return decrease(f, g);
    }

    // The decrease of the model from the start to x, where its gradient is g: of a quadratic, the change is the mean of
    // both slopes.
    double decrease(std::ptrdiff_t f, const Numbers64& g) const {
        double sum = 0;
        for (std::ptrdiff_t a = 0; a < f; ++a)
            sum -= (slope[a] + g[a]) / 2 * (x[a] - start[a]) + kink[a] * (std::fabs(x[a]) - std::fabs(start[a]));
        return sum;
    }
};

int small_newton(const NewtonTask& task) {
    if (task.kink) return SmallProximal(task).run();
    return task.exact ? TwoClassNewton(task).run() : SmallNewton(task).run();
}

}  // namespace
