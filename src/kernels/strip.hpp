// Products of a strip of dense rows with a few columns: tiles whose sums stay in registers.
//
// BLAS is designed for products with many operations for each number read. Here each number of X is multiplied by k
// numbers only (k = models x classes), so X is read once, in order. A strip is so short that it stays in the
// second cache while it is multiplied; the strip behind it is fetched meanwhile, half of it during each product, or all of
// it where there is one product alone (`Alone`).
//
// Columns (of weights, k of them) are cut into chunks, and the weights and the gradient are kept in the order in which
// the tiles use them: for each chunk, for each vector of features, the numbers of its columns one after another.
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

// The next strip on its way into the second cache, in two streams, which come faster than one: `done` of its `all` numbers
// have been asked for.
template <class T>
struct Ahead {
    const T *one, *other;

    Ahead(const T* next, Size all, Size done) : one(next + done / 2), other(next + all / 2 + done / 2) {}
    INLINE void fetch() {
        later(one);
        const T* behind = one + lanes<T>;
        one = other;
        other = behind;
    }
};

// Z[c, r] (+)= sum_j X[r, j] W[c, j] over `width` features, for M rows and C columns. The order of a sum depends on d
// alone, so the logits of a row do not depend on other rows.
template <class T, int M, int C, bool Alone>
INLINE void logits_tile(const T* X, const T* W, T* Z, Size d, Size width, bool add, Ahead<T> next) {
    constexpr Size L = lanes<T>;
    Vector<T> sum[C][M] = {};
    Size j = 0;
    for (; j + L <= width; j += L, W += C * L) {
        Vector<T> x[M];
#pragma GCC unroll 8
        for (int r = 0; r < M; ++r) x[r] = load(X + r * d + j);
#pragma GCC unroll 8
        for (int r = 0; r < (Alone ? M : M / 2); ++r) next.fetch();
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
template <class T, int C, bool Alone>
void logits_chunk(const T* X, const T* W, T* Z, Size rows, Size d, const T* next) {
    constexpr Size M = registers == 32 ? (C <= 6 ? 4 : 2) : (C <= 2 ? 4 : 2);
    constexpr Size L = lanes<T>, most = feature_bytes / static_cast<Size>(sizeof(T));
    const Size parts = d > most ? (d + most - 1) / most : 1, width = round_up((d + parts - 1) / parts, L);
    Size j = 0;
    do {  // once where there are no features: the logits are then 0
        const Size here = d - j < width ? d - j : width;
        Size r = 0;
        const auto ahead = [&] { return Ahead<T>(next, rows * d, (j * rows + r * here) / (Alone ? 1 : 2)); };
        for (; r + M <= rows; r += M)
            logits_tile<T, M, C, Alone>(X + r * d + j, W + j * C, Z + r, d, here, j > 0, ahead());
        for (; r < rows; ++r)
            logits_tile<T, 1, C, Alone>(X + r * d + j, W + j * C, Z + r, d, here, j > 0, ahead());
        j += width;
    } while (j < d);
}

// Which numbers of a tile's vectors of features exist: all, or not those before the first or behind the last feature.
enum class Edge { none, first, last };

// G[c, features] += sum_r R[c, r] X[r, features], for C columns and V vectors of features. `edge` numbers are missing
// from the first vector, or present in the last.
template <class T, int C, int V, Edge E, bool Alone>
INLINE void gradient_tile(const T* X, const T* R, T* G, Size rows, Size d, Size edge, Ahead<T> next) {
    constexpr Size L = lanes<T>;
    Vector<T> sum[C][V] = {};
    for (Size r = 0; r < rows; ++r, X += d) {
        Vector<T> x[V];
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) {
            if (E == Edge::first && v == 0)
                x[v] = load_from(X, edge);
            else if (E == Edge::last && v == V - 1)
                x[v] = load_part(X + v * L, edge);
            else
                x[v] = load(X + v * L);
        }
        next.fetch();
        if (Alone) next.fetch();
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

// The gradient of a strip for one chunk of columns. Vectors of features start `lead` numbers before the first one.
template <class T, int C, bool Alone>
void gradient_chunk(const T* X, const T* R, T* G, Size rows, Size d, Size lead, const T* next) {
    constexpr Size L = lanes<T>;
    const Size end = lead + d;
    Size j = 0;
    X -= lead;
    const auto ahead = [&] { return Ahead<T>(next, rows * d, Alone ? j * rows : (d + j) * rows / 2); };
    if (lead) {
        gradient_tile<T, C, 2, Edge::first, Alone>(X, R, G, rows, d, lead, ahead());
        j = 2 * L;
    }
    for (; j + 2 * L <= end; j += 2 * L)
        gradient_tile<T, C, 2, Edge::none, Alone>(X + j, R, G + j * C, rows, d, 0, ahead());
    if (j + L < end)
        gradient_tile<T, C, 2, Edge::last, Alone>(X + j, R, G + j * C, rows, d, end - j - L, ahead());
    else if (j + L == end)
        gradient_tile<T, C, 1, Edge::none, Alone>(X + j, R, G + j * C, rows, d, 0, ahead());
    else if (j < end)
        gradient_tile<T, C, 1, Edge::last, Alone>(X + j, R, G + j * C, rows, d, end - j, ahead());
}

// How many numbers before the first feature a vector of features starts, so that each lies in one line of the cache. It
// changes no sum, since a feature's numbers are summed over the rows in its own lane.
template <class T>
Size leading(const T* X, Size d) {
    constexpr Size L = lanes<T>;
    return d % L || d < 4 * L ? 0 : static_cast<Size>(reinterpret_cast<std::uintptr_t>(X) / sizeof(T) % L);
}

#ifdef MANY_REGISTERS
#define EVERY_CHUNK(f) \
    f<T, 1, A>, f<T, 2, A>, f<T, 3, A>, f<T, 4, A>, f<T, 5, A>, f<T, 6, A>, f<T, 7, A>, f<T, 8, A>, f<T, 9, A>, \
        f<T, 10, A>, f<T, 11, A>, f<T, 12, A>
#else
#define EVERY_CHUNK(f) f<T, 1, A>, f<T, 2, A>, f<T, 3, A>, f<T, 4, A>, f<T, 5, A>, f<T, 6, A>
#endif
template <class T, bool A>
constexpr void (*logits_chunks[])(const T*, const T*, T*, Size, Size, const T*) = {EVERY_CHUNK(logits_chunk)};
template <class T, bool A>
constexpr void (*gradient_chunks[])(const T*, const T*, T*, Size, Size, Size, const T*) = {EVERY_CHUNK(gradient_chunk)};
#undef EVERY_CHUNK

// Numbers in k columns of weights, or of a gradient with whatever `lead`, in the order of the tiles.
template <class T>
INLINE Size packed_weights(Size d, Size k) { return round_up(d, lanes<T>) * k; }
template <class T>
INLINE Size packed_gradient(Size d, Size k) { return (round_up(d, lanes<T>) + lanes<T>) * k; }

// W (k, d) in the order of the tiles; places behind the last feature are 0.
template <class T>
void pack(const T* W, T* to, Size d, Size k) {
    constexpr Size L = lanes<T>;
    chunks(k, [&](Size first, Size count) {
        for (Size j = 0; j < d; j += L)
            for (Size c = first; c < first + count; ++c, to += L)
                for (Size i = 0; i < L; ++i) to[i] = j + i < d ? W[c * d + j + i] : T(0);
    });
}

// G (k, d) from the order of the tiles
template <class T>
void unpack(const T* from, T* G, Size d, Size k, Size lead) {
    constexpr Size L = lanes<T>;
    chunks(k, [&](Size first, Size count) {
        const T* tiles = from + packed_gradient<T>(d, first);
        for (Size j = -lead; j < d; j += L)
            for (Size c = first; c < first + count; ++c, tiles += L)
                for (Size i = j < 0 ? -j : 0; i < L && j + i < d; ++i) G[c * d + j + i] = tiles[i];
    });
}

// All columns of a strip. Nothing more is fetched with the chunks after the first.
template <class T, bool Alone>
INLINE void strip_logits(const T* X, const T* W, T* Z, Size rows, Size d, Size k, const T* next) {
    chunks(k, [&](Size c, Size count) {
        logits_chunks<T, Alone>[count - 1](X, W + packed_weights<T>(d, c), Z + c * row_stride<T>, rows, d, c ? X : next);
    });
}

// Whether `count` columns of R, one behind the other, are zeros in all rows of a strip. nan is none.
template <class T>
INLINE bool all_zero(const T* R, Size rows, Size count) {
    for (Size c = 0; c < count; ++c)
        for (Size r = 0; r < rows; ++r)
            if (R[c * row_stride<T> + r] != 0) return false;
    return true;
}

// Columns that are zeros in all rows, as those of a fold are where none of the rows is its own, add nothing to the
// gradient: a chunk of nothing else is passed over, and the chunk after it fetches the next strip.
template <class T, bool Alone>
INLINE void strip_gradient(const T* X, const T* R, T* G, Size rows, Size d, Size k, Size lead, const T* next) {
    chunks(k, [&](Size c, Size count) {
        const T* of = R + c * row_stride<T>;
        if (all_zero(of, rows, count)) return;
        gradient_chunks<T, Alone>[count - 1](X, of, G + packed_gradient<T>(d, c), rows, d, lead, next);
        next = X;  // nothing more is fetched with the chunks after it
    });
}

// Calls f(first row, rows, X there, X of the strip behind it) for each strip. Only whole strips are fetched ahead; at the
// end it is the last one again, which is in the cache.
template <class T, class F>
INLINE void each_strip(const T* X, Size b, Size d, F f) {
    const Size strip = strip_rows<T>(d);
    for (Size first = 0; first < b; first += strip) {
        const T* here = X + first * d;
        f(first, b - first < strip ? b - first : strip, here, first + 2 * strip <= b ? here + strip * d : here);
    }
}

}  // namespace strips
}  // namespace
