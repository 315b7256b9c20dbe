// Products of a strip of dense rows with a handful of columns: tiles whose sums stay in registers.
//
// BLAS packs and tiles for products that compute much with each number it reads. Here each number of X meets k numbers
// only (k = models x classes), so what counts is to read X once, in order. A strip is so short that it stays in the
// second cache while it is multiplied; the strip behind it is fetched meanwhile, half of it during each product.
//
// Columns (of weights, k of them) are cut into chunks, and the weights and the gradient are kept in the order in which
// the tiles meet them: for each chunk, for each vector of features, the numbers of its columns one after another.
#pragma once

#include "simd.hpp"

namespace {
namespace strips {

using Size = std::ptrdiff_t;

constexpr Size strip_bytes = 128 << 10, most_rows = 256;
constexpr Size feature_bytes = 3328;  // of one column of weights in a tile, so that a chunk of them stays in the first cache
constexpr int chunk_columns = registers == 32 ? 12 : 6;

template <class T>
constexpr Size row_stride = most_rows + lanes<T>;  // between columns in a strip's logits; no power of two

INLINE Size round_up(Size a, Size b) { return (a + b - 1) / b * b; }

// Rows in a strip: whole vectors of them
template <class T>
Size strip_rows(Size d) {
    const Size rows = strip_bytes / static_cast<Size>(sizeof(T)) / (d > 0 ? d : 1) / lanes<T> * lanes<T>;
    return rows < lanes<T> ? lanes<T> : rows > most_rows ? most_rows : rows;
}

// Calls f(first, count) for chunks of about the same size
template <class F>
INLINE void chunks(Size k, F f) {
    Size left = (k + chunk_columns - 1) / chunk_columns;
    for (Size c = 0; c < k; --left) {
        const Size count = (k - c + left - 1) / left;
        f(c, count);
        c += count;
    }
}

// Z[c, r] (+)= sum_j X[r, j] W[c, j] over `width` features, for M rows and C columns. The order of a sum depends on d
// alone, so a row's logits do not know which rows are beside it.
template <class T, int M, int C>
INLINE void logits_tile(const T* X, const T* W, T* Z, Size d, Size width, bool add, const T* next) {
    constexpr Size L = lanes<T>;
    Vector<T> sum[C][M] = {};
    Size j = 0;
    for (; j + L <= width; j += L, W += C * L) {
        Vector<T> x[M];
#pragma GCC unroll 8
        for (int r = 0; r < M; ++r) x[r] = load(X + r * d + j);
#pragma GCC unroll 8
        for (int r = 0; r < M / 2; ++r, next += L) later(next);
#pragma GCC unroll 12
        for (int c = 0; c < C; ++c) {
            Vector<T> w = load(W + c * L);
            hold(w);
#pragma GCC unroll 8
            for (int r = 0; r < M; ++r) sum[c][r] += x[r] * w;
        }
    }
    if (j < width) {
        Vector<T> x[M];
#pragma GCC unroll 8
        for (int r = 0; r < M; ++r) x[r] = load_part(X + r * d + j, width - j);
#pragma GCC unroll 12
        for (int c = 0; c < C; ++c) {
            Vector<T> w = load(W + c * L);
            hold(w);
#pragma GCC unroll 8
            for (int r = 0; r < M; ++r) sum[c][r] += x[r] * w;
        }
    }
    T all[C * M + 4];
    const Vector<T>* flat = &sum[0][0];
    constexpr int whole = C * M / 4 * 4;
#pragma GCC unroll 12
    for (int i = 0; i < whole; i += 4) totals<T, 4>(flat + i, all + i);
    if constexpr (whole < C * M) totals<T, C * M - whole>(flat + whole, all + whole);
#pragma GCC unroll 12
    for (int c = 0; c < C; ++c)
#pragma GCC unroll 8
        for (int r = 0; r < M; ++r) {
            T* z = Z + c * row_stride<T> + r;
            *z = add ? *z + all[c * M + r] : all[c * M + r];
        }
}

// The logits of a strip for one chunk of columns.
template <class T, int C>
void logits_chunk(const T* X, const T* W, T* Z, Size rows, Size d, const T* next) {
    constexpr Size M = registers == 32 ? (C <= 6 ? 4 : 2) : (C <= 2 ? 4 : 2);
    constexpr Size L = lanes<T>, most = feature_bytes / static_cast<Size>(sizeof(T));
    const Size parts = d > most ? (d + most - 1) / most : 1, width = round_up((d + parts - 1) / parts, L);
    Size j = 0;
    do {  // once where there are no features: the logits are then 0
        const Size here = d - j < width ? d - j : width;
        Size r = 0;
        for (; r + M <= rows; r += M)
            logits_tile<T, M, C>(X + r * d + j, W + j * C, Z + r, d, here, j > 0, next + (j * rows + r * here) / 2);
        for (; r < rows; ++r) logits_tile<T, 1, C>(X + r * d + j, W + j * C, Z + r, d, here, j > 0, next);
        j += width;
    } while (j < d);
}

// G[c, features] += sum_r R[c, r] X[r, features], for C columns and V vectors of features, the last of which may be a
// part with `count` numbers.
template <class T, int C, int V, bool Part>
INLINE void gradient_tile(const T* X, const T* R, T* G, Size rows, Size d, Size count, const T* next) {
    constexpr Size L = lanes<T>;
    Vector<T> sum[C][V] = {};
    for (Size r = 0; r < rows; ++r, X += d) {
        Vector<T> x[V];
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) x[v] = Part && v == V - 1 ? load_part(X + v * L, count) : load(X + v * L);
        later(next);
        next += L;
#pragma GCC unroll 12
        for (int c = 0; c < C; ++c) {
            Vector<T> w = broadcast(R[c * row_stride<T> + r]);
            hold(w);
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v) sum[c][v] += x[v] * w;
        }
    }
#pragma GCC unroll 12
    for (int c = 0; c < C; ++c)
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) {
            T* g = G + (v * C + c) * L;
            store(g, load(g) + sum[c][v]);
        }
}

// The gradient of a strip for one chunk of columns.
template <class T, int C>
void gradient_chunk(const T* X, const T* R, T* G, Size rows, Size d, const T* next) {
    constexpr Size L = lanes<T>;
    Size j = 0;
    for (; j + 2 * L <= d; j += 2 * L)
        gradient_tile<T, C, 2, false>(X + j, R, G + j * C, rows, d, 0, next + j * rows / 2);
    if (j + L < d)
        gradient_tile<T, C, 2, true>(X + j, R, G + j * C, rows, d, d - j - L, next);
    else if (j + L == d)
        gradient_tile<T, C, 1, false>(X + j, R, G + j * C, rows, d, 0, next);
    else if (j < d)
        gradient_tile<T, C, 1, true>(X + j, R, G + j * C, rows, d, d - j, next);
}

template <class T>
using Chunk = void (*)(const T*, const T*, T*, Size, Size, const T*);

template <class T>
constexpr Chunk<T> logits_chunks[] = {
    logits_chunk<T, 1>, logits_chunk<T, 2>, logits_chunk<T, 3>, logits_chunk<T, 4>, logits_chunk<T, 5>, logits_chunk<T, 6>,
#ifdef MANY_REGISTERS
    logits_chunk<T, 7>, logits_chunk<T, 8>, logits_chunk<T, 9>, logits_chunk<T, 10>, logits_chunk<T, 11>, logits_chunk<T, 12>,
#endif
};
template <class T>
constexpr Chunk<T> gradient_chunks[] = {
    gradient_chunk<T, 1>, gradient_chunk<T, 2>, gradient_chunk<T, 3>, gradient_chunk<T, 4>, gradient_chunk<T, 5>, gradient_chunk<T, 6>,
#ifdef MANY_REGISTERS
    gradient_chunk<T, 7>, gradient_chunk<T, 8>, gradient_chunk<T, 9>, gradient_chunk<T, 10>, gradient_chunk<T, 11>, gradient_chunk<T, 12>,
#endif
};

// Numbers in the weights or the gradient of k columns, in the order of the tiles.
template <class T>
INLINE Size packed(Size d, Size k) { return round_up(d, lanes<T>) * k; }

// W (k, d) in the order of the tiles; places behind a row's end are 0.
template <class T>
void pack(const T* W, T* to, Size d, Size k) {
    constexpr Size L = lanes<T>;
    chunks(k, [&](Size first, Size count) {
        for (Size j = 0; j < d; j += L)
            for (Size c = first; c < first + count; ++c, to += L)
                for (Size i = 0; i < L; ++i) to[i] = j + i < d ? W[c * d + j + i] : T(0);
    });
}

template <class T>
void unpack(const T* from, T* G, Size d, Size k) {
    constexpr Size L = lanes<T>;
    chunks(k, [&](Size first, Size count) {
        for (Size j = 0; j < d; j += L)
            for (Size c = first; c < first + count; ++c, from += L)
                for (Size i = 0; i < L && j + i < d; ++i) G[c * d + j + i] = from[i];
    });
}

// All columns of a strip. Nothing more is fetched with the chunks after the first.
template <class T>
INLINE void strip_logits(const T* X, const T* W, T* Z, Size rows, Size d, Size k, const T* next) {
    chunks(k, [&](Size c, Size count) {
        logits_chunks<T>[count - 1](X, W + packed<T>(d, c), Z + c * row_stride<T>, rows, d, c ? X : next);
    });
}

template <class T>
INLINE void strip_gradient(const T* X, const T* R, T* G, Size rows, Size d, Size k, const T* next) {
    chunks(k, [&](Size c, Size count) {
        gradient_chunks<T>[count - 1](X, R + c * row_stride<T>, G + packed<T>(d, c), rows, d, c ? X : next + rows * d / 2);
    });
}

}  // namespace strips
}  // namespace
