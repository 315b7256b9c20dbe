// Proximal Newton steps for a softmax regression with an l1 part on sparse columns, as a whole.
//
// Each step minimises the quadratic model of sparse_model.hpp over the weights that are not 0 or whose gradient exceeds the
// l1 part. Two classes have one weight u for each column, of which they get -u / 2 and u / 2. The bias is the last column;
// that of the first of more than two classes stays.
#pragma once

#include <limits>

#include "class_loss.hpp"
#include "functions.hpp"
#include "sparse_model.hpp"

namespace {

constexpr double enough = 1e-4;           // share of the predicted decrease that a step has to reach
constexpr int most_bisections = 20;       // of a step
constexpr double value_rounding = 1e-14;  // relative rounding error of the objective
constexpr double most_logit_move = 2;     // of a row by one weight in one step: beyond, the model is no guide
constexpr std::ptrdiff_t most_growth = 3; // weights that may enter for each one that is not 0
constexpr int growing_sweeps = 3;         // sweeps of a step that not all weights may enter
constexpr double loosest_sweeps = 0.3;    // relative move at which sweeps end while the gap is large

template <class D>
class SparseFit {
  public:
    explicit SparseFit(const SparseFitTask<D>& task)
        : t(task), n(task.n), k(task.columns.count), q(task.groups), o(q * n), trial(q * n), P(q * n), C(q * n), r(n),
          G(q * k), reach(k) {
        for (std::ptrdiff_t j = 0; j < k; ++j) {
            double square = 0;
            for (std::int64_t p = t.columns.first[j]; p < t.columns.first[j + 1]; ++p)
                square += static_cast<double>(t.columns.data[p]) * t.columns.data[p];
            const double size = square > 0 ? std::sqrt(square / t.columns.stored(j)) * t.columns.inverse[j] : 0.0;
            reach[j] = size > 0 ? most_logit_move / size : 0.0;
        }
    }

    // Steps until the estimated gap is below the goal; returns their number, negative where they failed.
    int run() {
        start_logits();
        double value = loss(o) + penalty(t.x);
        for (int step = 0; step <= t.most_steps; ++step) {
            gradient();
            t.told[step] = value;
            if (const double certified = gap(value); certified <= t.tolerance) {
                t.told[t.most_steps + 1 + step] = certified;
                t.told[2 * (t.most_steps + 1) + step] = read;
                return step;
            }
            choose();
            const double descent = minimise();
            const double estimate = -descent / 2;
            t.told[t.most_steps + 1 + step] = estimate;
            t.told[2 * (t.most_steps + 1) + step] = read;
            if (!std::isfinite(estimate) || step == t.most_steps) return -1 - step;
            last = estimate;
            if (!search(value, descent)) return estimate <= t.goal ? step : -1 - step;
            if (estimate <= t.goal) return step + 1;
            if (q > 1) value += remove_shifts();
        }
        return -1;
    }

  private:
    using Reals = std::vector<double>;
    using Places = std::vector<std::int64_t>;
    const SparseFitTask<D>& t;
    std::ptrdiff_t n, k, q;
    Reals reach;  // largest move (k,) of a weight in one step; 0: none
    Reals o, trial, P, C, r, G, x, x0, y, slope, ridge, kink, low, high, change;
    Places group, column, whole;
    double read = 0, last = 1;  // `last`: the estimated gap before the last step
    bool growing = false;      // whether more weights were to enter than may

    void start_logits() {
        std::fill(o.begin(), o.end(), 0.0);
        for (std::ptrdiff_t c = 0; c < q; ++c) {
            double* line = o.data() + c * n;
            double common = 0;
            for (std::ptrdiff_t j = 0; j < k; ++j) {
                const double w = t.x[c * k + j];
                if (w == 0) continue;
                common += w * t.columns.zero[j];
                add_column(t.columns, j, w, line);
            }
            for (std::ptrdiff_t i = 0; i < n; ++i) line[i] += common;
        }
    }

    double penalty(const double* of) const {
        double sum = 0;
        for (std::ptrdiff_t c = 0; c < q; ++c)
            for (std::ptrdiff_t j = 0; j < k; ++j) {
                const double w = of[c * k + j];
                if (w != 0) sum += t.ridge[j] * w * w / 2 + t.kink[j] * std::fabs(w);
            }
        return sum;
    }

    // Mean loss; leaves the probabilities in P.
    double loss(const Reals& logits) {
        return q == 1 ? loss_of_two(logits) : loss_of_classes(logits.data(), t.codes, t.weights, n, q, P.data());
    }

    // Mean loss of two classes; leaves the probability of the second in P.
    double loss_of_two(const Reals& logits) {
        constexpr std::ptrdiff_t L = lanes<double>;
        double sum = 0;
        for (std::ptrdiff_t i = 0; i < n; i += L) {
            const Vector<double> z = load(logits.data() + i), size = z < 0.0 ? -z : z, e = exp_below<double>(-size);
            const Vector<double> of_larger = 1.0 / (1.0 + e);
            const Vector<double> log_mass = log_one_plus<double>(e);
            store(P.data() + i, z < 0.0 ? e * of_larger : of_larger);
            for (std::ptrdiff_t l = 0; l < L; ++l) {
                const bool wrong = (z[l] < 0) == (t.codes[i + l] == 1);
                if (t.weights[i + l] != 0) sum += t.weights[i + l] * (log_mass[l] + (wrong ? size[l] : 0.0));
            }
        }
        return sum;
    }

    // G = the gradient of loss and l2 part, C = the curvature of the logits
    void gradient() {
        for (std::ptrdiff_t c = 0; c < q; ++c) {
            const double* p = P.data() + c * n;
            double* bends = C.data() + c * n;
            const std::int64_t own = q == 1 ? 1 : c;
            double sum = 0;
            for (std::ptrdiff_t i = 0; i < n; ++i) {
                const double v = t.weights[i];
                bends[i] = q == 1 ? v * p[i] * (1 - p[i]) : v * p[i];
                sum += r[i] = v * (p[i] - (t.codes[i] == own ? 1.0 : 0.0));
            }
            for (std::ptrdiff_t j = 0; j < k; ++j)
                G[c * k + j] = column_dot(t.columns, j, r.data()) + t.columns.zero[j] * sum + t.ridge[j] * t.x[c * k + j];
            read += t.columns.first[k];
        }
    }

    // About the duality gap once the bias is balanced. A dual point that is not feasible is scaled: y + share (p - y).
    double gap(double value) const {
        double share = 1, imbalance = 0;
        for (std::ptrdiff_t c = 0; c < q; ++c) {
            const double slope = G[c * k + k - 1];
            double bends = 0;
            for (std::ptrdiff_t i = 0; i < n; ++i) bends += q == 1 ? C[i] : C[c * n + i] * (1 - P[c * n + i]);
            if (t.columns.zero[k - 1] != 0 && bends > 0) imbalance += 2 * slope * slope / bends;
        }
        double sum = 0;
        for (std::ptrdiff_t c = 0; c < q; ++c)
            for (std::ptrdiff_t j = 0; j + 1 < k; ++j) {
                const double w = t.x[c * k + j], g = G[c * k + j] - t.ridge[j] * w, over = std::fabs(g) - t.kink[j];
                if (over > 0 && t.ridge[j] > 0) sum += over * over / (2 * t.ridge[j]);
                if (over > 0 && !(t.ridge[j] > 0)) share = std::min(share, t.kink[j] / std::fabs(g));
                if (w != 0) sum += t.ridge[j] * w * w / 2 + t.kink[j] * std::fabs(w) + g * w;
            }
        return imbalance + (share == 1 ? sum : value - entropy(share));
    }

    // Mean entropy of  y + share (p - y)
    double entropy(double share) const {
        double sum = 0;
        for (std::ptrdiff_t i = 0; i < n; ++i) {
            if (t.weights[i] == 0) continue;
            double rest = 0, row = 0;
            for (std::ptrdiff_t c = 0; c < q; ++c) {
                const double p = q == 1 && t.codes[i] == 1 ? 1 - P[i] : P[c * n + i];
                if (q > 1 && c == t.codes[i]) continue;
                rest += share * p;
                if (p > 0) row -= share * p * std::log(share * p);
            }
            sum += t.weights[i] * (row - (1 - rest) * std::log1p(-std::min(rest, 1 - 1e-16)));
        }
        return sum;
    }

    // The weights that may move, column by column
    void choose() {
        std::vector<std::pair<double, std::ptrdiff_t>> entering;  // excess over the l1 part, and place
        std::vector<char> chosen(q * k, 0);
        std::ptrdiff_t living = 0;
        for (std::ptrdiff_t c = 0; c < q; ++c)
            for (std::ptrdiff_t j = 0; j < k; ++j) {
                if (q > 1 && c == 0 && j == k - 1) continue;
                const std::ptrdiff_t a = c * k + j;
                if (t.x[a] != 0 || t.kink[j] == 0) {
                    chosen[a] = 1;
                    ++living;
                } else if (std::fabs(G[a]) > t.kink[j]) {
                    entering.emplace_back(-std::fabs(G[a]) / t.kink[j], a);
                }
            }
        const std::ptrdiff_t most = std::max(t.first_weights, most_growth * living);
        growing = static_cast<std::ptrdiff_t>(entering.size()) > most;
        if (growing) {
            std::nth_element(entering.begin(), entering.begin() + most, entering.end());
            entering.resize(most);
        }
        for (const auto& one : entering) chosen[one.second] = 1;
        group.clear(), column.clear(), whole.clear(), x.clear(), slope.clear(), ridge.clear(), kink.clear();
        for (std::ptrdiff_t j = 0; j < k; ++j) {
            const std::size_t first = group.size();
            for (std::ptrdiff_t c = 0; c < q; ++c) {
                const std::ptrdiff_t a = c * k + j;
                if (!chosen[a]) continue;
                group.push_back(c), column.push_back(j), x.push_back(t.x[a]), slope.push_back(G[a]);
                ridge.push_back(t.ridge[j]), kink.push_back(t.kink[j]);
            }
            if (q > 1 && t.ridge[j] == 0 && t.kink[j] > 0 && static_cast<std::ptrdiff_t>(group.size() - first) == q)
                for (std::ptrdiff_t c = 0; c < q; ++c) whole.push_back(static_cast<std::int64_t>(first) + c);
        }
        low.assign(x.size(), -std::numeric_limits<double>::infinity());
        high.assign(x.size(), std::numeric_limits<double>::infinity());
        for (std::size_t a = 0; a < x.size(); ++a)
            if (reach[column[a]] > 0) {
                low[a] = x[a] - reach[column[a]];
                high[a] = x[a] + reach[column[a]];
            }
    }

    // x = the minimum of the model, `change` = that of the logits; returns the derivative of the objective along the step.
    double minimise() {
        x0 = x;
        const Weights weights{x.data(), kink.data(), low.data(), high.data(), static_cast<std::ptrdiff_t>(x.size())};
        Effort effort = t.effort;
        const double needed = std::max(last, t.tolerance / std::max(last, t.tolerance) / 4);  // of the reduction of the gap
        effort.tolerance = std::min(loosest_sweeps, std::max(effort.tolerance, std::sqrt(std::fabs(needed))));
        if (growing) effort.most_rounds = 1, effort.sweeps = growing_sweeps, effort.most_steps = 0;
        const SparseModelTask<D> task{t.columns, q == 1 ? nullptr : P.data(), C.data(), group.data(), column.data(),
                                      whole.data(), slope.data(), ridge.data(), n, q,
                                      static_cast<std::ptrdiff_t>(whole.size()) / q, effort};
        SparseModel<D> model(task, weights);
        read += model.run();
        change = model.change();
        double descent = 0;
        for (std::size_t a = 0; a < x.size(); ++a)
            descent += slope[a] * (x[a] - x0[a]) + kink[a] * (std::fabs(x[a]) - std::fabs(x0[a]));
        return descent;
    }

    // Take the first of the steps 1, 1/2, 1/4, ... that lowers the objective enough; false where none does.
    bool search(double& value, double descent) {
        double length = 1;
        y.assign(t.x, t.x + q * k);
        for (int halved = 0; halved <= most_bisections; ++halved, length /= 2) {
            for (std::ptrdiff_t i = 0; i < q * n; ++i) trial[i] = o[i] + length * change[i];
            for (std::size_t a = 0; a < x.size(); ++a)
                y[group[a] * k + column[a]] = length == 1 ? x[a] : x0[a] + length * (x[a] - x0[a]);
            const double next = loss(trial) + penalty(y.data());
            if (next - value <= enough * length * descent + value_rounding * std::max(1e-3, std::fabs(value))) {
                value = next;
                std::copy(y.begin(), y.end(), t.x);
                o.swap(trial);
                return true;
            }
        }
        return false;
    }

    // Subtract from each column the shift common to all classes that lowers the penalty most; returns the change of it.
    // The minimiser of  sum_c kink |w_c - shift| + ridge (w_c - shift)^2 / 2  is a weight, or lies between two of them.
    double remove_shifts() {
        double saved = 0;
        Reals w(q);
        for (std::ptrdiff_t j = 0; j + 1 < k; ++j) {
            double sum = 0, before = 0, after = 0;
            for (std::ptrdiff_t c = 0; c < q; ++c) sum += w[c] = t.x[c * k + j];
            if (std::all_of(w.begin(), w.end(), [](double one) { return one == 0; })) continue;
            std::sort(w.begin(), w.end());
            double shift = w[q - 1];
            for (std::ptrdiff_t c = 0; c < q; ++c) {
                const double ridge_slope = t.ridge[j] * (static_cast<double>(q) * w[c] - sum);
                const double right = t.kink[j] * static_cast<double>(2 * (c + 1) - q) + ridge_slope;
                if (right < 0) continue;
                const double left = t.kink[j] * static_cast<double>(2 * c - q) + ridge_slope;
                shift = left > 0 ? (sum - t.kink[j] * static_cast<double>(2 * c - q) / t.ridge[j]) / static_cast<double>(q) : w[c];
                break;
            }
            if (shift == 0) continue;
            for (std::ptrdiff_t c = 0; c < q; ++c) {
                double& own = t.x[c * k + j];
                before += t.ridge[j] * own * own / 2 + t.kink[j] * std::fabs(own);
                own -= shift;
                after += t.ridge[j] * own * own / 2 + t.kink[j] * std::fabs(own);
            }
            saved += after - before;
        }
        return saved;
    }
};

template <class D>
int sparse_fit(const SparseFitTask<D>& task) {
    return SparseFit<D>(task).run();
}

}  // namespace
