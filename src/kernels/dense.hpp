// Products of a block of dense rows with a handful of columns, at the speed at which the rows come from memory.
//
// BLAS packs and tiles for products that compute much with each number it reads. Here each number of X meets k numbers
// only (k = models x classes), so what counts is to read X once, in order, with everything else in registers.
#pragma once

#include "simd.hpp"

namespace {

// Rows and classes (times), or classes and vectors of columns (transposed), whose sums fit into the registers.
constexpr int times_rows = registers == 32 ? 4 : 2;
constexpr int times_classes = registers == 32 ? 6 : 5;
constexpr int transposed_classes = registers == 32 ? 12 : 6;
constexpr std::ptrdiff_t group = 16, panel = 32;

// out[c, r] = sum_j X[r, j] W[c, j] for M rows and C classes. Each sum is taken in an order that depends on d alone, so
// a row's logits do not know which rows are beside it.
template <class T, int M, int C>
INLINE void times_tile(const T* X, const T* W, T* out, std::ptrdiff_t d, std::ptrdiff_t b, bool more) {
    constexpr std::ptrdiff_t L = lanes<T>;
    Vector<T> sum[C][M] = {};
    std::ptrdiff_t j = 0;
    for (; j + L <= d; j += L) {
        Vector<T> x[M];
#pragma GCC unroll 8
        for (int r = 0; r < M; ++r) {
            x[r] = load(X + r * d + j);
            if (more) later(X + (group + r) * d + j);
        }
#pragma GCC unroll 8
        for (int c = 0; c < C; ++c) {
            const Vector<T> w = load(W + c * d + j);
#pragma GCC unroll 8
            for (int r = 0; r < M; ++r) sum[c][r] += x[r] * w;
        }
    }
    if (j < d) {
        Vector<T> x[M];
#pragma GCC unroll 8
        for (int r = 0; r < M; ++r) x[r] = load_part(X + r * d + j, d - j);
#pragma GCC unroll 8
        for (int c = 0; c < C; ++c) {
            const Vector<T> w = load_part(W + c * d + j, d - j);
#pragma GCC unroll 8
            for (int r = 0; r < M; ++r) sum[c][r] += x[r] * w;
        }
    }
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) totals<T, M>(sum[c], out + c * b);
}

// C classes and a group of rows: their weights stay in the first-level cache, and the rows, which come back for the next
// classes, in the second.
template <class T, int C>
void times_group(const T* X, const T* W, T* out, std::ptrdiff_t rows, std::ptrdiff_t d, std::ptrdiff_t b, bool more) {
    constexpr std::ptrdiff_t M = times_rows;
    std::ptrdiff_t r = 0;
    for (; r + M <= rows; r += M) times_tile<T, M, C>(X + r * d, W, out + r, d, b, more);
    for (; r < rows; ++r) times_tile<T, 1, C>(X + r * d, W, out + r, d, b, false);
}

// out (k, b) = W (k, d) X^T, X (b, d)
template <class T>
void times(const T* X, const T* W, T* out, std::ptrdiff_t b, std::ptrdiff_t d, std::ptrdiff_t k) {
    using Group = void (*)(const T*, const T*, T*, std::ptrdiff_t, std::ptrdiff_t, std::ptrdiff_t, bool);
    static constexpr Group groups[] = {times_group<T, 1>, times_group<T, 2>, times_group<T, 3>,
                                       times_group<T, 4>, times_group<T, 5>, times_group<T, times_classes>};
    for (std::ptrdiff_t r = 0; r < b; r += group) {
        const std::ptrdiff_t rows = b - r < group ? b - r : group;
        std::ptrdiff_t left = (k + times_classes - 1) / times_classes;
        for (std::ptrdiff_t c = 0; c < k; --left) {
            const std::ptrdiff_t C = (k - c + left - 1) / left;  // tiles of about the same size
            groups[C - 1](X + r * d, W + c * d, out + c * b + r, rows, d, b, c == 0 && r + 2 * group <= b);
            c += C;
        }
    }
}

// G[c, columns] += sum over `rows` rows of R[c, r] X[r, columns], for C classes and V vectors of columns, or for the
// `count` < lanes columns of a part of one vector.
template <class T, int C, int V, bool Part>
INLINE void transposed_tile(const T* X, const T* R, T* G, std::ptrdiff_t rows, std::ptrdiff_t d, std::ptrdiff_t b,
                            std::ptrdiff_t count, bool more) {
    constexpr std::ptrdiff_t L = lanes<T>;
    Vector<T> sum[C][V] = {};
    for (std::ptrdiff_t r = 0; r < rows; ++r) {
        Vector<T> x[V];
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) {
            x[v] = Part ? load_part(X + r * d, count) : load(X + r * d + v * L);
            if (more) later(X + (panel + r) * d + v * L);
        }
#pragma GCC unroll 12
        for (int c = 0; c < C; ++c)
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v) sum[c][v] += x[v] * R[c * b + r];
    }
#pragma GCC unroll 12
    for (int c = 0; c < C; ++c)
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) {
            T* g = G + c * d + v * L;
            if constexpr (Part)
                store_part(g, load_part(g, count) + sum[c][v], count);
            else
                store(g, load(g) + sum[c][v]);
        }
}

template <class T, int C>
void transposed_panel(const T* X, const T* R, T* G, std::ptrdiff_t rows, std::ptrdiff_t d, std::ptrdiff_t b,
                      bool more) {
    constexpr std::ptrdiff_t L = lanes<T>;
    std::ptrdiff_t j = 0;
    for (; j + 2 * L <= d; j += 2 * L) transposed_tile<T, C, 2, false>(X + j, R, G + j, rows, d, b, 0, more);
    if (j + L <= d) {
        transposed_tile<T, C, 1, false>(X + j, R, G + j, rows, d, b, 0, more);
        j += L;
    }
    if (j < d) transposed_tile<T, C, 1, true>(X + j, R, G + j, rows, d, b, d - j, false);
}

// G (k, d) = R (k, b) X (b, d). A panel of rows is summed in registers, and panels are added one after another.
template <class T>
void transposed_times(const T* X, const T* R, T* G, std::ptrdiff_t b, std::ptrdiff_t d, std::ptrdiff_t k) {
    using Panel = void (*)(const T*, const T*, T*, std::ptrdiff_t, std::ptrdiff_t, std::ptrdiff_t, bool);
    static constexpr Panel panels[] = {
        transposed_panel<T, 1>, transposed_panel<T, 2>, transposed_panel<T, 3>, transposed_panel<T, 4>,
        transposed_panel<T, 5>, transposed_panel<T, 6>,
#if defined(__AVX512F__) || defined(__aarch64__)
        transposed_panel<T, 7>, transposed_panel<T, 8>, transposed_panel<T, 9>, transposed_panel<T, 10>,
        transposed_panel<T, 11>, transposed_panel<T, 12>,
#endif
    };
    for (std::ptrdiff_t i = 0; i < k * d; ++i) G[i] = 0;
    for (std::ptrdiff_t r = 0; r < b; r += panel) {
        const std::ptrdiff_t rows = b - r < panel ? b - r : panel;
        std::ptrdiff_t left = (k + transposed_classes - 1) / transposed_classes;
        for (std::ptrdiff_t c = 0; c < k; --left) {
            const std::ptrdiff_t C = (k - c + left - 1) / left;
            panels[C - 1](X + r * d, R + c * b + r, G + c * d, rows, d, b, c == 0 && r + 2 * panel <= b);
            c += C;
        }
    }
}

}  // namespace
