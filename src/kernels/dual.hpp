// Dual coordinate steps of softmax regression on CSR rows: one row at a time, with the weights updated after each.
//
// With alpha_i for the dual probabilities of row i (see optimize/dual/coordinate_ascent.py), the weights are the sum of
// V_i (Y_i - alpha_i) x_i^T / (N strength). A step replaces alpha_i by the maximiser over a with all others fixed:
//
//     a = argmax  H(a) + <a, o> - c/2 ||a - alpha_i||^2,   c = V_i ||x_i||^2 / (N strength),   o = x_i W + b.
//
// At the maximum, log a_k + c a_k + mu = o_k + c alpha_k with the mu at which a sums to 1: Newton's method in (log a, mu).
#pragma once

#include "level.hpp"
#include "sparse.hpp"

namespace {

constexpr int most_rounds = 40;      // Newton steps for one row; two are usual
constexpr float settled = 1e-4f;     // largest change of log a at convergence: the next Newton step would be a rounding error
constexpr float longest_step = 3.0f; // largest change of log a in a Newton step

INLINE float total(Vector<float> v) {
    float sum = 0;
    for (std::ptrdiff_t i = 0; i < lanes<float>; ++i) sum += v[i];
    return sum;
}

INLINE float largest(Vector<float> v) {
    float top = v[0];
    for (std::ptrdiff_t i = 1; i < lanes<float>; ++i) top = v[i] > top ? v[i] : top;
    return top;
}

// The classes of one row, in vectors; the last vector's unused lanes have a mask of 0.
struct Row {
    using V = Vector<float>;
    std::ptrdiff_t vectors;
    V *o, *log_a, *a, *before, *target, *mask;

    // Divergence of alpha from softmax(o), sum alpha (log alpha - o) + log sum exp(o): the row's part of the duality gap.
    INLINE float divergence() {
        V high = mask[0] != 0 ? o[0] : V{} - 3e38f;
        for (std::ptrdiff_t v = 1; v < vectors; ++v) {
            const V next = mask[v] != 0 ? o[v] : V{} - 3e38f;
            high = next > high ? next : high;
        }
        const float top = largest(high);
        V mass = {}, cross = {};
        for (std::ptrdiff_t v = 0; v < vectors; ++v) {
            const V down = o[v] - top;
            mass += exp_below<float>(down > 0 ? V{} : down) * mask[v];
            before[v] = exp_below<float>(log_a[v]) * mask[v];
            cross += before[v] * (log_a[v] - down);
        }
        const float rest = log_of(total(mass));
        for (std::ptrdiff_t v = 0; v < vectors; ++v) o[v] -= top + rest;
        return total(cross) + rest;
    }

    // Compute a for alpha by Newton's method; log_a is shifted so that a sums to 1.
    INLINE void step(float c) {
        float mu = 0;
        for (std::ptrdiff_t v = 0; v < vectors; ++v) {
            a[v] = before[v];
            target[v] = o[v] + before[v] * c;
        }
        for (int round = 0; round < most_rounds; ++round) {
            V weight = {}, pull = {}, sum = {};
            for (std::ptrdiff_t v = 0; v < vectors; ++v) {
                const V w = a[v] / (a[v] * c + 1.0f);
                weight += w;
                pull += w * (log_a[v] + a[v] * c - target[v]);
                sum += a[v];
            }
            const float all = total(weight);
            mu += (total(sum) - 1.0f - (total(pull) + mu * all)) / all;
            V moved = {};
            for (std::ptrdiff_t v = 0; v < vectors; ++v) {
                V leap = (target[v] - mu - log_a[v] - a[v] * c) / (a[v] * c + 1.0f);
                leap = leap > longest_step ? V{} + longest_step : leap;
                const V now = log_a[v] + leap;
                log_a[v] = now > 0 ? V{} : now;
                const V next = exp_below<float>(log_a[v]) * mask[v];
                const V change = next > a[v] ? next - a[v] : a[v] - next;
                moved = change > moved ? change : moved;
                a[v] = next;
            }
            if (!(largest(moved) >= settled)) break;
        }
        V sum = {};
        for (std::ptrdiff_t v = 0; v < vectors; ++v) sum += a[v];
        const float share = 1.0f / total(sum), less = log_of(total(sum));
        for (std::ptrdiff_t v = 0; v < vectors; ++v) {
            a[v] *= share;
            log_a[v] -= less;
        }
    }
};

// Buffers for the vectors of a row.
class RowRoom {
  public:
    explicit RowRoom(std::ptrdiff_t q) : vectors((q + L - 1) / L), room(new Vector<float>[6 * vectors]()) {
        for (std::ptrdiff_t c = 0; c < q; ++c) row().mask[c / L][c % L] = 1;
    }
    ~RowRoom() { delete[] room; }
    RowRoom(const RowRoom&) = delete;
    RowRoom& operator=(const RowRoom&) = delete;
    Row row() const {
        const auto n = vectors;
        return {n, room, room + n, room + 2 * n, room + 3 * n, room + 4 * n, room + 5 * n};
    }

  private:
    static constexpr std::ptrdiff_t L = lanes<float>;
    std::ptrdiff_t vectors;
    Vector<float>* room;
};

// out[i] = ||x_i||^2
template <class D, class I>
void csr_row_squares(const D* data, const I* start, float* out, std::ptrdiff_t n) {
    for (std::ptrdiff_t i = 0; i < n; ++i) {
        double sum = 0;
        for (auto p = start[i]; p < start[i + 1]; ++p) sum += static_cast<double>(data[p]) * data[p];
        out[i] = static_cast<float>(sum);
    }
}

template <class D, class I>
void csr_dual_steps(const D* data, const I* index, const I* start, const std::int64_t* order, std::ptrdiff_t count,
                    const Dual& dual, std::ptrdiff_t n, std::ptrdiff_t q) {
    const CsrBlock<D, I> X{data, index, start, n};
    const RowRoom room(q);
    const Row row = room.row();
    auto *o = reinterpret_cast<float*>(row.o), *a = reinterpret_cast<float*>(row.a);
    auto *before = reinterpret_cast<float*>(row.before), *log_a = reinterpret_cast<float*>(row.log_a);
    for (std::ptrdiff_t t = 0; t < count; ++t) {
        const auto i = static_cast<std::ptrdiff_t>(order[t]);
        if (t + 1 < count) {  // prefetch: rows are visited in random order
            const std::ptrdiff_t from = X.at(order[t + 1]), to = X.at(order[t + 1] + 1);
            for (std::ptrdiff_t p = from; p < to; p += 64 / sizeof(D)) later(data + p);
            for (std::ptrdiff_t p = from; p < to; p += 64 / sizeof(I)) later(index + p);
            later(dual.log_alpha + order[t + 1] * q);
        }
        row.o[row.vectors - 1] = row.log_a[row.vectors - 1] = Vector<float>{};  // unused lanes are 0
        products(X, i, 1, dual.W, q, o);
        for (std::ptrdiff_t c = 0; c < q; ++c) {
            o[c] += dual.bias[c] + dual.reach * dual.pull[c];
            log_a[c] = dual.log_alpha[i * q + c];
        }
        Row r = row;
        dual.divergence[i] = r.divergence();
        const float V = dual.weights ? dual.weights[i] : 1.0f;
        if (V == 0) continue;  // a row of weight 0: only its divergence is computed
        r.step(V * dual.curvature[i]);
        for (std::ptrdiff_t c = 0; c < q; ++c) {
            dual.log_alpha[i * q + c] = log_a[c];
            a[c] = (before[c] - a[c]) * V * dual.rate;
            dual.pull[c] += dual.reach * a[c];
        }
        add_transposed(X, i, 1, a, dual.W, q);
    }
}

}  // namespace
