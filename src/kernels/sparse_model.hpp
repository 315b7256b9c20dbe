// The minimum of a quadratic model of cross-entropy in single weights plus kink |x| within bounds, for sparse columns.
//
// The curvature is a sum over rows of the Hessians v_i J_i (x) z_i z_i^T as in coordinate.hpp. A column z is x / scale for
// the stored numbers plus `zero`, the standardised value of 0, in all rows: that part is kept as one number a class, so
// that a weight costs a few operations for each stored number. Sweeps of coordinate descent, which find the weights that
// are not 0, alternate with Newton steps in these by conjugate gradients, which end at 0 where a weight changes its sign.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "coordinate.hpp"

namespace {

constexpr double damping = 1e-2;  // part of the diagonal added for a Newton step: it ends where there is no curvature
constexpr int line_search_steps = 10;     // halvings of a step that does not lower the model
constexpr double tiny_square = 1e-300;

// The sum over the stored numbers of column j, in its unit, times `of`
template <class D>
INLINE double column_dot(const SparseColumns<D>& c, std::ptrdiff_t j, const double* of) {
    double even = 0, odd = 0;
    std::int64_t p = c.first[j];
    const std::int64_t end = c.first[j + 1];
    for (; p + 1 < end; p += 2) {
        even += c.data[p] * of[c.index[p]];
        odd += c.data[p + 1] * of[c.index[p + 1]];
    }
    if (p < end) even += c.data[p] * of[c.index[p]];
    return (even + odd) * c.inverse[j];
}

// to += weight times the stored numbers of column j, in its unit
template <class D>
INLINE void add_column(const SparseColumns<D>& c, std::ptrdiff_t j, double weight, double* to) {
    const double by = weight * c.inverse[j];
    for (std::int64_t p = c.first[j]; p < c.first[j + 1]; ++p) to[c.index[p]] += by * c.data[p];
}

template <class D>
class SparseModel {
  public:
    SparseModel(const SparseModelTask<D>& task, const Weights& weights)
        : t(task), w(weights), n(task.n), q(task.q), O(q * n), s(task.P ? n : 0), O_of(q * n), r(n), h(n), u(n), order(w.count),
          ends(q + 1), hx(w.count), curvature(w.count), start(w.x, w.x + w.count) {
        for (std::ptrdiff_t a = 0; a < w.count; ++a) ++ends[t.group[a] + 1];
        for (std::ptrdiff_t k = 0; k < q; ++k) ends[k + 1] += ends[k];
        std::vector<std::ptrdiff_t> next(ends.begin(), ends.end() - 1);
        for (std::ptrdiff_t a = 0; a < w.count; ++a) order[next[t.group[a]]++] = a;
        add_curvature();
    }

    // Returns the stored numbers that were read.
    double run() {
        double first = 0;
        for (int round = 0; round < t.effort.most_rounds; ++round) {
            for (int i = 0; i < t.effort.sweeps; ++i) {
                const double most = sweep();
                first = std::max(first, most);
                if (!(most > t.effort.tolerance * t.effort.tolerance * first)) return read;
            }
            remove_medians();
            if (t.effort.most_steps > 0) newton();
        }
        return read;
    }

    using Reals = std::vector<double>;

    const Reals& change() const { return O; }  // of the logits (q, n)

  private:
    const SparseModelTask<D>& t;
    const Weights& w;
    std::ptrdiff_t n, q;
    Reals O, s;  // change of the logits (q, n), and its mean under P
    Reals O_of, r, h, u;
    std::vector<std::ptrdiff_t> order, ends;  // the weights by classes
    Reals hx, curvature, start;
    double read = 0;

    // h = the curvature of the logits of class k; returns its sum
    double bend(std::ptrdiff_t k) {
        const double *C = t.C + k * n, *P = t.P ? t.P + k * n : nullptr;
        double sum = 0;
        for (std::ptrdiff_t i = 0; i < n; ++i) sum += h[i] = P ? C[i] * (1 - P[i]) : C[i];
        return sum;
    }

    // r = the change of the loss's derivatives in the logits of class k for a change of the logits; returns its sum
    double residual(std::ptrdiff_t k, const Reals& change, const Reals& mean) {
        const double *C = t.C + k * n, *o = change.data() + k * n;
        double sum = 0;
        for (std::ptrdiff_t i = 0; i < n; ++i) sum += r[i] = C[i] * (t.P ? o[i] - mean[i] : o[i]);
        return sum;
    }

    void add_curvature() {
        for (std::ptrdiff_t k = 0; k < q; ++k) {
            if (ends[k] == ends[k + 1]) continue;
            const double total = bend(k);
            for (std::ptrdiff_t place = ends[k]; place < ends[k + 1]; ++place) {
                const std::ptrdiff_t a = order[place], j = t.column[a];
                double sum = 0, square = 0;
                for (std::int64_t p = t.columns.first[j]; p < t.columns.first[j + 1]; ++p) {
                    const double by = h[t.columns.index[p]] * t.columns.data[p];
                    sum += by;
                    square += by * t.columns.data[p];
                }
                const double zero = t.columns.zero[j], inverse = t.columns.inverse[j];
                hx[a] = sum *= inverse;
                square *= inverse * inverse;
                curvature[a] = std::max(0.0, square + zero * (2 * sum + zero * total)) + t.ridge[a];
                read += t.columns.stored(j);
            }
        }
    }

    double dot(std::ptrdiff_t j, const Reals& of) {
        read += t.columns.stored(j);
        return column_dot(t.columns, j, of.data());
    }

    double sweep() {
        double most = 0;
        for (std::ptrdiff_t k = 0; k < q; ++k)
            if (ends[k] < ends[k + 1]) most = std::max(most, sweep_class(k));
        return most;
    }

    // The logits of class k change by u, which the residual r already has, and by `common`, which it has not.
    double sweep_class(std::ptrdiff_t k) {
        double most = 0, common = 0;
        const double total = bend(k);
        double sum = residual(k, O, s);
        std::fill(u.begin(), u.end(), 0.0);
        for (std::ptrdiff_t place = ends[k]; place < ends[k + 1]; ++place) {
            const std::ptrdiff_t a = order[place], j = t.column[a];
            if (!(curvature[a] > 0)) continue;
            const double slope = t.gradient[a] + t.ridge[a] * (w.x[a] - start[a]) + dot(j, r) + common * hx[a] +
                                 t.columns.zero[j] * (sum + common * total);
            const double move = minimiser(w.x[a], slope, curvature[a], w.kink[a], w.low[a], w.high[a]) - w.x[a];
            if (move == 0) continue;
            w.x[a] += move;
            const double step = move * t.columns.inverse[j];
            for (std::int64_t p = t.columns.first[j]; p < t.columns.first[j + 1]; ++p) {
                const double by = step * t.columns.data[p];
                const std::int32_t i = t.columns.index[p];
                u[i] += by;
                r[i] += h[i] * by;
            }
            sum += move * hx[a];
            common += move * t.columns.zero[j];
            most = std::max(most, move * move * curvature[a]);
        }
        if (most > 0) add(k, common);
        return most;
    }

    // Add u + common to the logits of class k.
    void add(std::ptrdiff_t k, double common) {
        double* o = O.data() + k * n;
        for (std::ptrdiff_t i = 0; i < n; ++i) o[i] += u[i] + common;
        if (!t.P) return;
        const double* P = t.P + k * n;
        for (std::ptrdiff_t i = 0; i < n; ++i) s[i] += P[i] * (u[i] + common);
    }

    // A shift common to all classes changes neither the loss nor, at the median, the penalty upwards.
    void remove_medians() {
        Reals x(q);
        for (std::ptrdiff_t c = 0; c < t.whole_count; ++c) {
            const std::int64_t* of = t.whole + c * q;
            for (std::ptrdiff_t k = 0; k < q; ++k) x[k] = w.x[of[k]];
            std::nth_element(x.begin(), x.begin() + (q - 1) / 2, x.end());
            const double median = x[(q - 1) / 2];
            for (std::ptrdiff_t k = 0; k < q; ++k) w.x[of[k]] -= median;
        }
    }

    // out (f,) = the loss's gradient in the free weights, by classes, for a change of the logits
    void gradients(const std::vector<std::ptrdiff_t>& free, const Reals& change, const Reals& mean, Reals& out) {
        std::size_t b = 0;
        for (std::ptrdiff_t k = 0; k < q; ++k) {
            if (b == free.size() || t.group[free[b]] != k) continue;
            const double sum = residual(k, change, mean);
            for (; b < free.size() && t.group[free[b]] == k; ++b) {
                const std::ptrdiff_t j = t.column[free[b]];
                out[b] = dot(j, r) + t.columns.zero[j] * sum;
            }
        }
    }

    // out (f,) = the Hessian times v (f,); O_of gets the change of the logits
    void times(const std::vector<std::ptrdiff_t>& free, const Reals& v, Reals& mean, Reals& out) {
        std::fill(O_of.begin(), O_of.end(), 0.0);
        std::fill(mean.begin(), mean.end(), 0.0);
        std::size_t b = 0;
        for (std::ptrdiff_t k = 0; k < q; ++k) {
            double* o = O_of.data() + k * n;
            double common = 0;
            for (; b < free.size() && t.group[free[b]] == k; ++b) {
                const std::ptrdiff_t j = t.column[free[b]];
                common += v[b] * t.columns.zero[j];
                read += t.columns.stored(j);
                add_column(t.columns, j, v[b], o);
            }
            for (std::ptrdiff_t i = 0; i < n; ++i) o[i] += common;
            if (t.P)
                for (std::ptrdiff_t i = 0; i < n; ++i) mean[i] += t.P[k * n + i] * o[i];
        }
        gradients(free, O_of, mean, out);
        for (b = 0; b < free.size(); ++b) out[b] += t.ridge[free[b]] * v[b];
    }

    void newton() {
        std::vector<std::ptrdiff_t> free;
        for (const std::ptrdiff_t a : order)
            if (w.x[a] > w.low[a] && w.x[a] < w.high[a] && (w.x[a] != 0 || w.kink[a] == 0) && curvature[a] > 0) free.push_back(a);
        const std::size_t f = free.size();
        if (!f) return;
        Reals gradient(f), b(f), mean(s.size()), Hp(f), step(f), move(f);
        gradients(free, O, s, gradient);
        for (std::size_t i = 0; i < f; ++i) {
            const std::ptrdiff_t a = free[i];
            gradient[i] += t.gradient[a] + t.ridge[a] * (w.x[a] - start[a]);
            b[i] = -gradient[i] - (w.x[a] > 0 ? w.kink[a] : w.x[a] < 0 ? -w.kink[a] : 0.0);
        }
        solve(free, b, mean, Hp, step);
        for (std::size_t i = 0; i < f; ++i) {
            const std::ptrdiff_t a = free[i];
            double low = w.low[a], high = w.high[a];
            if (w.kink[a] > 0 && w.x[a] > 0) low = std::max(low, 0.0);
            if (w.kink[a] > 0 && w.x[a] < 0) high = std::min(high, 0.0);
            move[i] = std::min(std::max(w.x[a] + step[i], low), high) - w.x[a];
        }
        times(free, move, mean, Hp);
        take(free, gradient, move, mean, Hp);
    }

    // Take the first of the steps 1, 1/2, 1/4, ... that lowers model and penalty.
    void take(const std::vector<std::ptrdiff_t>& free, const Reals& gradient, const Reals& move, const Reals& mean,
              const Reals& change) {
        double slope = 0, square = 0, by = 1;
        for (std::size_t i = 0; i < free.size(); ++i) {
            slope += gradient[i] * move[i];
            square += change[i] * move[i];
        }
        for (int halvings = 0; halvings < line_search_steps; ++halvings, by /= 2) {
            double more = by * slope + by * by * square / 2;
            for (std::size_t i = 0; i < free.size(); ++i) {
                const std::ptrdiff_t a = free[i];
                more += w.kink[a] * (std::fabs(w.x[a] + by * move[i]) - std::fabs(w.x[a]));
            }
            if (!(more < 0)) continue;
            for (std::size_t i = 0; i < free.size(); ++i) w.x[free[i]] += by * move[i];
            for (std::size_t i = 0; i < O.size(); ++i) O[i] += by * O_of[i];
            for (std::size_t i = 0; i < s.size(); ++i) s[i] += by * mean[i];
            return;
        }
    }

    // Conjugate gradients, preconditioned by the diagonal: x (f,) with H x = b to a part of the residual
    void solve(const std::vector<std::ptrdiff_t>& free, const Reals& b, Reals& mean, Reals& Hp, Reals& x) {
        const std::size_t f = free.size();
        Reals rest = b, p(f);
        double square = 0;
        for (std::size_t i = 0; i < f; ++i) {
            p[i] = b[i] / curvature[free[i]];
            square += b[i] * p[i];
        }
        const double least = t.effort.residual * t.effort.residual * square;
        for (int step = 0; step < t.effort.most_steps && square > least && square > tiny_square; ++step) {
            times(free, p, mean, Hp);
            double bends = 0;
            for (std::size_t i = 0; i < f; ++i) bends += p[i] * (Hp[i] += damping * curvature[free[i]] * p[i]);
            if (!(bends > 0)) return;
            double after = 0;
            for (std::size_t i = 0; i < f; ++i) {
                x[i] += square / bends * p[i];
                rest[i] -= square / bends * Hp[i];
                after += rest[i] * rest[i] / curvature[free[i]];
            }
            for (std::size_t i = 0; i < f; ++i) p[i] = rest[i] / curvature[free[i]] + after / square * p[i];
            square = after;
        }
    }
};

template <class D>
double minimise_sparse(const SparseModelTask<D>& task, const Weights& weights) {
    return SparseModel<D>(task, weights).run();
}

}  // namespace
