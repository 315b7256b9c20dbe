// Dual coordinate steps of softmax regression with many classes (dual.hpp has the formulas): the logarithms of the dual
// probabilities are kept as whole numbers of two bytes, and the weights of a row lie next to each other.
//
// A code c stands for exp(-c / 2048), so that a dual probability is rounded by at most 0.025%, and the last code for 0,
// which classes behind the last one have. Steps change the weights by the rounded probabilities.
#pragma once

#include <cstring>

#include "functions.hpp"
#include "level.hpp"

namespace {

constexpr float code_step = 1.0f / 2048;
constexpr std::uint16_t no_class = 65535;
constexpr int most_wide_rounds = 40;       // Newton steps for one row; two are usual
constexpr float wide_settled = 1e-4f;      // largest change of a probability at convergence
constexpr float longest_wide_step = 3.0f;  // largest change of log a in a Newton step
constexpr float never = -1000.0f;          // the logarithm that stands for a probability of 0

using Floats = Vector<float>;
constexpr std::ptrdiff_t few_floats = lanes<float>;

INLINE float sum_of(Floats v) {
    float sum = 0;
    for (std::ptrdiff_t i = 0; i < few_floats; ++i) sum += v[i];
    return sum;
}

INLINE float largest_of(Floats v) {
    float top = v[0];
    for (std::ptrdiff_t i = 1; i < few_floats; ++i) top = v[i] > top ? v[i] : top;
    return top;
}

typedef std::uint16_t Codes __attribute__((vector_size(vector_bytes / 2)));
typedef std::int32_t Integers __attribute__((vector_size(vector_bytes)));

INLINE Integers load_codes(const std::uint16_t* from) {
    Codes codes;
    std::memcpy(&codes, from, sizeof codes);
    return __builtin_convertvector(codes, Integers);
}

INLINE Floats log_of_codes(Integers codes) {
    const Floats log_a = __builtin_convertvector(codes, Floats) * -code_step;
    return codes == Integers{} + no_class ? Floats{} + never : log_a;
}

// The codes of logarithms, where `old` is the last code for classes behind the last one.
INLINE Integers codes_of(Floats log_a, Integers old) {
    Floats scaled = log_a * (-1.0f / code_step) + 0.5f;
    scaled = scaled < 0.0f ? Floats{} : scaled;
    scaled = scaled > 65534.0f ? Floats{} + 65534.0f : scaled;
    const Integers codes = __builtin_convertvector(scaled, Integers);
    return old == Integers{} + no_class ? old : codes;
}

INLINE void store_codes(std::uint16_t* to, Integers codes) {
    const Codes few = __builtin_convertvector(codes, Codes);
    std::memcpy(to, &few, sizeof few);
}

// The numbers of one row, a vector for each few classes.
struct WideRow {
    std::ptrdiff_t vectors;
    Floats *o, *log_a, *a, *before, *target;
};

// o = bias + reach * pull + x W for one row; returns the largest.
template <class D, class I>
INLINE float wide_logits(const D* data, const I* index, std::ptrdiff_t a, std::ptrdiff_t b, const WideDual& dual,
                         const WideRow& row) {
    constexpr std::ptrdiff_t L = few_floats;
    constexpr int part = 8;
    Floats high = Floats{} - 3e38f;
    for (std::ptrdiff_t v = 0; v < row.vectors; v += part) {
        Floats sum[part];
#pragma GCC unroll 8
        for (int u = 0; u < part; ++u)
            sum[u] = load(dual.bias + (v + u) * L) + load(dual.pull + (v + u) * L) * dual.reach;
        for (std::ptrdiff_t p = a; p < b; ++p) {
            const float* w = dual.W + static_cast<std::ptrdiff_t>(index[p]) * dual.stride + v * L;
            const float x = static_cast<float>(data[p]);
#pragma GCC unroll 8
            for (int u = 0; u < part; ++u) sum[u] += load(w + u * L) * x;
        }
#pragma GCC unroll 8
        for (int u = 0; u < part; ++u) {
            row.o[v + u] = sum[u];
            high = sum[u] > high ? sum[u] : high;
        }
    }
    return largest_of(high);
}

// Divergence of alpha from softmax(o), sum alpha log(alpha / p) - alpha + p; o becomes log p, and before alpha.
INLINE float wide_divergence(const WideRow& row, const std::uint16_t* codes, float top) {
    Floats mass = {}, cross = {}, all = {};
    for (std::ptrdiff_t v = 0; v < row.vectors; ++v) {
        const Floats down = row.o[v] - top;
        const Floats log_a = log_of_codes(load_codes(codes + v * few_floats));
        const Floats alpha = exp_below<float>(log_a);
        mass += exp_below<float>(down);
        cross += alpha * (log_a - down);
        all += alpha;
        row.log_a[v] = log_a;
        row.before[v] = alpha;
    }
    const float rest = __builtin_logf(sum_of(mass)), total = sum_of(all);
    for (std::ptrdiff_t v = 0; v < row.vectors; ++v) row.o[v] -= top + rest;
    return sum_of(cross) + total * rest - total + 1.0f;
}

// a for alpha by Newton's method in (log a, mu); returns the sum of a.
INLINE float wide_step(const WideRow& row, float c) {
    float mu = 0;
    for (std::ptrdiff_t v = 0; v < row.vectors; ++v) {
        row.a[v] = row.before[v];
        row.target[v] = row.o[v] + row.before[v] * c;
    }
    Floats sum = {};
    for (int round = 0; round < most_wide_rounds; ++round) {
        Floats weight = {}, pull = {};
        sum = Floats{};
        for (std::ptrdiff_t v = 0; v < row.vectors; ++v) {
            const Floats a = row.a[v], w = a / (a * c + 1.0f);
            weight += w;
            pull += w * (row.log_a[v] + a * c - row.target[v]);
            sum += a;
        }
        const float all = sum_of(weight);
        mu += (sum_of(sum) - 1.0f - (sum_of(pull) + mu * all)) / all;
        Floats moved = {};
        sum = Floats{};
        for (std::ptrdiff_t v = 0; v < row.vectors; ++v) {
            const Floats a = row.a[v];
            Floats leap = (row.target[v] - mu - row.log_a[v] - a * c) / (a * c + 1.0f);
            leap = leap > longest_wide_step ? Floats{} + longest_wide_step : leap;
            Floats now = row.log_a[v] + leap;
            now = now > 0.0f ? Floats{} : now;
            const Floats next = exp_below<float>(now);
            const Floats change = next > a ? next - a : a - next;
            moved = change > moved ? change : moved;
            row.log_a[v] = now;
            row.a[v] = next;
            sum += next;
        }
        if (!(largest_of(moved) >= wide_settled)) break;
    }
    return sum_of(sum);
}

// Rounds a to codes, and leaves weight (alpha - a) in a; the weights of the constant column follow.
INLINE void wide_round(const WideRow& row, std::uint16_t* codes, float less, float weight, const WideDual& dual) {
    for (std::ptrdiff_t v = 0; v < row.vectors; ++v) {
        const Integers old = load_codes(codes + v * few_floats), now = codes_of(row.log_a[v] - less, old);
        store_codes(codes + v * few_floats, now);
        const Floats change = (row.before[v] - exp_below<float>(log_of_codes(now))) * weight;
        row.a[v] = change;
        store(dual.pull + v * few_floats, load(dual.pull + v * few_floats) + change * dual.reach);
    }
}

// W[index[p], :] += data[p] * a for the stored numbers of one row.
template <class D, class I>
INLINE void wide_update(const D* data, const I* index, std::ptrdiff_t a, std::ptrdiff_t b, const WideDual& dual,
                        const WideRow& row) {
    constexpr std::ptrdiff_t L = few_floats;
    constexpr int part = 8;
    for (std::ptrdiff_t v = 0; v < row.vectors; v += part) {
        Floats change[part];
#pragma GCC unroll 8
        for (int u = 0; u < part; ++u) change[u] = row.a[v + u];
        for (std::ptrdiff_t p = a; p < b; ++p) {
            float* w = dual.W + static_cast<std::ptrdiff_t>(index[p]) * dual.stride + v * L;
            const float x = static_cast<float>(data[p]);
#pragma GCC unroll 8
            for (int u = 0; u < part; ++u) store(w + u * L, load(w + u * L) + change[u] * x);
        }
    }
}

// The rows in `order`, one after another.
template <class D, class I>
void wide_dual_steps(const D* data, const I* index, const I* start, const std::int64_t* order, std::ptrdiff_t count,
                     const WideDual& dual, void* memory) {
    const std::ptrdiff_t vectors = dual.stride / few_floats;
    Floats* room = static_cast<Floats*>(memory);
    const WideRow row{vectors, room, room + vectors, room + 2 * vectors, room + 3 * vectors, room + 4 * vectors};
    for (std::ptrdiff_t t = 0; t < count; ++t) {
        const auto i = static_cast<std::ptrdiff_t>(order[t]);
        const auto a = static_cast<std::ptrdiff_t>(start[i]), b = static_cast<std::ptrdiff_t>(start[i + 1]);
        std::uint16_t* codes = dual.codes + i * dual.stride;
        const float top = wide_logits(data, index, a, b, dual, row);
        dual.divergence[i] = wide_divergence(row, codes, top);
        const float V = dual.weights ? dual.weights[i] : 1.0f;
        if (V == 0) continue;  // a row of weight 0: only its divergence is computed
        const float sum = wide_step(row, V * dual.curvature[i]);
        wide_round(row, codes, __builtin_logf(sum), V * dual.rate, dual);
        wide_update(data, index, a, b, dual, row);
    }
}

// Rows of the dual probabilities, times exp(shift), into Z (slabs, rows, slab), divided by their sums. The sums go to
// `total`, or come from it where they are `known`, which allows Z to have some of the classes only. With `divergence`,
// Z holds the logits of all classes at first, and KL(alpha || softmax(o)) of each row goes there, log sum exp(o) to
// `mass`.
template <class T>
void wide_alpha(const std::uint16_t* codes, std::ptrdiff_t stride, std::ptrdiff_t rows, const float* shift,
                const Slabs<T>& Z, double* divergence, double* mass, double* total, bool known) {
    constexpr std::ptrdiff_t L = few_floats;
    for (std::ptrdiff_t i = 0; i < rows; ++i) {
        const std::uint16_t* row = codes + i * stride;
        T* z = Z.first + i * Z.stride;
        T top = z[0];
        double all = 0, cross = 0, own = 0, rest = 0;
        for (std::ptrdiff_t s = 0; divergence && s < Z.slabs; ++s)
            for (std::ptrdiff_t c = 0; c < slab; ++c) {
                const T next = z[s * Z.slab_stride + c];
                top = next > top ? next : top;
            }
        for (std::ptrdiff_t s = 0; s < Z.slabs; ++s) {
            Floats sum = {}, with_o = {}, with_log = {}, exps = {};
            for (std::ptrdiff_t c = 0; c < slab; c += L) {
                const std::ptrdiff_t k = s * slab + c;
                Floats log_a = log_of_codes(load_codes(row + k));
                if (shift) log_a += load(shift + k);
                log_a = log_a > 0.0f ? Floats{} : log_a;
                const Floats alpha = exp_below<float>(log_a);
                sum += alpha;
                T* to = z + s * Z.slab_stride + c;
                if (divergence) {
                    Floats down;
                    for (std::ptrdiff_t l = 0; l < L; ++l) down[l] = static_cast<float>(to[l] - top);
                    exps += exp_below<float>(down);
                    with_o += alpha * down;
                    with_log += alpha * log_a;
                }
                for (std::ptrdiff_t l = 0; l < L; ++l) to[l] = static_cast<T>(alpha[l]);
            }
            all += static_cast<double>(sum_of(sum));
            cross += static_cast<double>(sum_of(with_o));
            own += static_cast<double>(sum_of(with_log));
            rest += static_cast<double>(sum_of(exps));
        }
        if (known) all = total[i];
        else total[i] = all;
        if (divergence) {
            const double log_mass = __builtin_log(rest);
            divergence[i] = (own - cross) / all - __builtin_log(all) + log_mass;
            mass[i] = log_mass + static_cast<double>(top);
        }
        const T share = static_cast<T>(1 / all);
        for (std::ptrdiff_t s = 0; s < Z.slabs; ++s)
            for (std::ptrdiff_t c = 0; c < slab; ++c) z[s * Z.slab_stride + c] *= share;
    }
}

}  // namespace
