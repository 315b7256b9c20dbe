// Many classes: numbers of classes lie in slabs of `slab` neighbouring classes, (slabs, rows, slab), so that the weights
// of a slab stay in the cache while many rows are multiplied.
#pragma once

#include <limits>

#include "functions.hpp"
#include "level.hpp"

namespace {

constexpr std::ptrdiff_t slab_columns = slab;
constexpr int slab_vectors = 8;  // accumulators of a product; wider slabs take more rounds

// out[target, :] = (or +=) bias + sum of data[p] * from[index[p], :] over the stored numbers of each row of one slab
template <class D, class T, class I>
INLINE void slab_rows(const D* data, const I* index, const I* start, const std::int64_t* target, std::ptrdiff_t rows,
                      const T* from, std::ptrdiff_t stride, const T* bias, bool add, T* out, std::ptrdiff_t out_stride) {
    constexpr std::ptrdiff_t L = lanes<T>, part = slab_vectors * L < slab_columns ? slab_vectors * L : slab_columns;
    constexpr int V = static_cast<int>(part / L);
    for (std::ptrdiff_t i = 0; i < rows; ++i) {
        T* to = out + (target ? static_cast<std::ptrdiff_t>(target[i]) : i) * out_stride;
        const auto a = static_cast<std::ptrdiff_t>(start[i]), b = static_cast<std::ptrdiff_t>(start[i + 1]);
        for (std::ptrdiff_t c = 0; c < slab_columns; c += part) {
            Vector<T> sum[V];
#pragma GCC unroll 16
            for (int v = 0; v < V; ++v) sum[v] = add ? load(to + c + v * L) : bias ? load(bias + c + v * L) : Vector<T>{};
            for (std::ptrdiff_t p = a; p < b; ++p) {
                const T* w = from + static_cast<std::ptrdiff_t>(index[p]) * stride + c;
                const T x = static_cast<T>(data[p]);
#pragma GCC unroll 16
                for (int v = 0; v < V; ++v) sum[v] += load(w + v * L) * x;
            }
#pragma GCC unroll 16
            for (int v = 0; v < V; ++v) store(to + c + v * L, sum[v]);
        }
    }
}

// Products of CSR rows with all slabs of W (slabs, d, slab) and of out, which both have any strides, and bias
// (slabs, slab) or null.
template <class D, class T, class I>
void slab_times(const D* data, const I* index, const I* start, const std::int64_t* target, std::ptrdiff_t rows,
                const Slabs<const T>& W, const T* bias, bool add, const Slabs<T>& out) {
    for (std::ptrdiff_t s = 0; s < W.slabs; ++s)
        slab_rows(data, index, start, target, rows, W.first + s * W.slab_stride, W.stride,
                  bias ? bias + s * slab_columns : nullptr, add, out.first + s * out.slab_stride, out.stride);
}

template <class T>
INLINE T across(Vector<T> v) {
    T sum = 0;
    for (std::ptrdiff_t i = 0; i < lanes<T>; ++i) sum += v[i];
    return sum;
}

// Rows 0 .. rows - 1 of the logits Z (slabs, out_rows, slab) of q classes become weight (P - Y); what lies behind class
// q becomes 0. loss receives the cross-entropy of each row, or the log of the sum of exponentials without codes, and
// p_label the probability of its label.
template <class T>
void slab_softmax(T* Z, std::ptrdiff_t slabs, std::ptrdiff_t out_rows, std::ptrdiff_t rows, std::ptrdiff_t q,
                  const std::int64_t* codes, const double* weights, double* loss, double* p_label) {
    constexpr std::ptrdiff_t L = lanes<T>;
    const std::ptrdiff_t stride = out_rows * slab_columns;
    for (std::ptrdiff_t i = 0; i < rows; ++i) {
        T* z = Z + i * slab_columns;
        for (std::ptrdiff_t c = q; c < slabs * slab_columns; ++c)
            z[c / slab_columns * stride + c % slab_columns] = -std::numeric_limits<T>::infinity();
        Vector<T> high = load(z);
        for (std::ptrdiff_t s = 0; s < slabs; ++s)
            for (std::ptrdiff_t c = 0; c < slab_columns; c += L) {
                const Vector<T> next = load(z + s * stride + c);
                high = next > high ? next : high;
            }
        T top = high[0];
        for (std::ptrdiff_t l = 1; l < L; ++l) top = high[l] > top ? high[l] : top;
        const std::ptrdiff_t code = codes ? static_cast<std::ptrdiff_t>(codes[i]) : 0;
        T* label = z + code / slab_columns * stride + code % slab_columns;
        const double below = static_cast<double>(*label) - static_cast<double>(top);
        double sum = 0;
        const Vector<T> tops = broadcast(top);
        for (std::ptrdiff_t s = 0; s < slabs; ++s) {
            Vector<T> part = {};
            for (std::ptrdiff_t c = 0; c < slab_columns; c += L) {
                const Vector<T> e = exp_below<T>(load(z + s * stride + c) - tops);
                part += e;
                store(z + s * stride + c, e);
            }
            sum += static_cast<double>(across<T>(part));
        }
        loss[i] = codes ? __builtin_log(sum) - below : __builtin_log(sum) + static_cast<double>(top);
        const double weight = weights ? weights[i] : 1.0;
        p_label[i] = static_cast<double>(*label) / sum;
        const Vector<T> share = broadcast(static_cast<T>(weight / sum));
        for (std::ptrdiff_t s = 0; s < slabs; ++s)
            for (std::ptrdiff_t c = 0; c < slab_columns; c += L)
                store(z + s * stride + c, load(z + s * stride + c) * share);
        if (codes) *label -= static_cast<T>(weight);
    }
}

// A few classes of many, class by class: Z (k, b) becomes exp(Z + bias - top), where `top` (b) is the largest of these k
// logits of each row, and `sum` (b) receives the sums. `label` (b) receives the logit of the label where `codes` (b),
// counted from the first of these classes, lies among them.
template <class T>
void chunk_exp(T* Z, std::ptrdiff_t k, std::ptrdiff_t b, const T* bias, const std::int64_t* codes, T* top, T* sum,
               T* label) {
    constexpr std::ptrdiff_t L = lanes<T>;
    for (std::ptrdiff_t r = 0; r < b; ++r)
        if (codes[r] >= 0 && codes[r] < k) label[r] = Z[codes[r] * b + r] + bias[codes[r]];
    for (std::ptrdiff_t r = 0; r < b; r += L) {
        const std::ptrdiff_t left = b - r;
        const auto get = [&](const T* from) { return left >= L ? load(from) : load_part(from, left); };
        const auto put = [&](T* to, Vector<T> v) {
            if (left >= L) store(to, v);
            else store_part(to, v, left);
        };
        Vector<T> high = get(Z + r) + bias[0];
        for (std::ptrdiff_t c = 1; c < k; ++c) {
            const Vector<T> next = get(Z + c * b + r) + bias[c];
            high = next > high ? next : high;
        }
        Vector<T> all = {};
        for (std::ptrdiff_t c = 0; c < k; ++c) {
            const Vector<T> e = exp_below<T>(get(Z + c * b + r) + bias[c] - high);
            all += e;
            put(Z + c * b + r, e);
        }
        put(top + r, high);
        put(sum + r, all);
    }
}

// Z (k, b) becomes its probabilities times the weights of the rows, less the weight at the label: factor (b) is weight *
// exp(top - log sum exp). mass and square (k) receive the sums over the rows of weight p and weight p^2.
template <class T>
void chunk_residual(T* Z, std::ptrdiff_t k, std::ptrdiff_t b, const T* factor, const T* weight,
                    const std::int64_t* codes, double* mass, double* square) {
    constexpr std::ptrdiff_t L = lanes<T>;
    for (std::ptrdiff_t c = 0; c < k; ++c) {
        T* z = Z + c * b;
        Vector<T> all = {}, squares = {};
        for (std::ptrdiff_t r = 0; r < b; r += L) {
            const std::ptrdiff_t left = b - r;
            const bool whole = left >= L;
            const Vector<T> p = (whole ? load(z + r) : load_part(z + r, left)) *
                                (whole ? load(factor + r) : load_part(factor + r, left));
            all += p;
            if (weight) {
                Vector<T> v = whole ? load(weight + r) : load_part(weight + r, left);
                v = v > T(0) ? v : Vector<T>{} + T(1);
                squares += p * p / v;
            } else {
                squares += p * p;
            }
            if (whole) store(z + r, p);
            else store_part(z + r, p, left);
        }
        mass[c] = static_cast<double>(across<T>(all));
        square[c] = static_cast<double>(across<T>(squares));
    }
    for (std::ptrdiff_t r = 0; r < b; ++r)
        if (codes[r] >= 0 && codes[r] < k) Z[codes[r] * b + r] -= weight ? weight[r] : T(1);
}

// Pairs of a class c of k and a row, class by class: those of class c are start[c] .. start[c + 1] - 1, and row[p] is the
// row of X (n, d). out[p] = V[c] . X[row[p]] for V (k, d).
template <class T>
void pair_dots(const T* X, std::ptrdiff_t d, const T* V, std::ptrdiff_t k, const std::int32_t* row,
               const std::int64_t* start, T* out) {
    constexpr std::ptrdiff_t L = lanes<T>;
    for (std::ptrdiff_t c = 0; c < k; ++c) {
        const T* v = V + c * d;
        for (std::int64_t p = start[c]; p < start[c + 1]; ++p) {
            const T* x = X + static_cast<std::ptrdiff_t>(row[p]) * d;
            Vector<T> sum[2] = {{}, {}};
            std::ptrdiff_t j = 0;
            for (; j + 2 * L <= d; j += 2 * L) {
                sum[0] += load(x + j) * load(v + j);
                sum[1] += load(x + j + L) * load(v + j + L);
            }
            for (; j < d; j += L) {
                const std::ptrdiff_t left = d - j < L ? d - j : L;
                sum[0] += load_part(x + j, left) * load_part(v + j, left);
            }
            out[p] = across<T>(sum[0] + sum[1]);
        }
    }
}

// out[c] (k, d) = sum of weight[p] X[row[p]] over the pairs of class c.
template <class T>
void pair_sums(const T* X, std::ptrdiff_t d, const T* weight, std::ptrdiff_t k, const std::int32_t* row,
               const std::int64_t* start, T* out) {
    constexpr std::ptrdiff_t L = lanes<T>;
    constexpr int V = slab_vectors;
    for (std::ptrdiff_t c = 0; c < k; ++c) {
        std::ptrdiff_t j = 0;
        for (; j + V * L <= d; j += V * L) {
            Vector<T> sum[V] = {};
            for (std::int64_t p = start[c]; p < start[c + 1]; ++p) {
                const T* x = X + static_cast<std::ptrdiff_t>(row[p]) * d + j;
#pragma GCC unroll 16
                for (int v = 0; v < V; ++v) sum[v] += load(x + v * L) * weight[p];
            }
#pragma GCC unroll 16
            for (int v = 0; v < V; ++v) store(out + c * d + j + v * L, sum[v]);
        }
        for (; j < d; j += L) {
            const std::ptrdiff_t left = d - j < L ? d - j : L;
            Vector<T> sum = {};
            for (std::int64_t p = start[c]; p < start[c + 1]; ++p)
                sum += load_part(X + static_cast<std::ptrdiff_t>(row[p]) * d + j, left) * weight[p];
            store_part(out + c * d + j, sum, left);
        }
    }
}

}  // namespace
