// Products of a block of CSR rows: a short run of vector operations for each stored number.
//
// What counts is how many cache lines of the weights a stored number touches. Vectors of 32 bytes cross lines less often
// than wider ones, so there is no version of these kernels for AVX-512; fetching ahead brought nothing either, since the
// addresses are known early enough for the processor to do it.
#pragma once

#include "simd.hpp"

namespace {

constexpr int sparse_vectors = 4;     // of weights that a stored number meets at once; more columns make more rounds
constexpr std::ptrdiff_t strip = 16;  // rows turned from row-major to class-major at a time

// What is left of a row of weights behind its whole vectors: nothing, half a vector, or some other part.
enum class End { none, half, part };

template <class T, End E>
INLINE Vector<T> load_end(const T* from, std::ptrdiff_t count) {
    if constexpr (E == End::half) return load_half(from);
    if constexpr (E == End::part) return load_part(from, count);
    return Vector<T>{};
}

template <class T, End E>
INLINE void store_end(T* to, Vector<T> v, std::ptrdiff_t count) {
    if constexpr (E == End::half) store_half(to, v);
    if constexpr (E == End::part) store_part(to, v, count);
}

// to[columns] = sum over the stored numbers of one row of a * W[index, columns], for V vectors of columns and an end
template <class T, class I, int V, End E>
INLINE void gather(const T* data, const I* index, std::ptrdiff_t count, const T* W, std::ptrdiff_t k,
                   std::ptrdiff_t left, T* to) {
    constexpr std::ptrdiff_t L = lanes<T>;
    Vector<T> sum[V + 1] = {};
    for (std::ptrdiff_t p = 0; p < count; ++p) {
        const T* w = W + static_cast<std::ptrdiff_t>(index[p]) * k;
        const T a = data[p];
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) sum[v] += load(w + v * L) * a;
        if constexpr (E != End::none) sum[V] += load_end<T, E>(w + V * L, left) * a;
    }
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) store(to + v * L, sum[v]);
    store_end<T, E>(to + V * L, sum[V], left);
}

// G[index, columns] += a * residual[columns] for the stored numbers of one row
template <class T, class I, int V, End E>
INLINE void scatter(const T* data, const I* index, std::ptrdiff_t count, const T* residual, T* G, std::ptrdiff_t k,
                    std::ptrdiff_t left) {
    constexpr std::ptrdiff_t L = lanes<T>;
    Vector<T> r[V + 1];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) r[v] = load(residual + v * L);
    r[V] = load_end<T, E>(residual + V * L, left);
    for (std::ptrdiff_t p = 0; p < count; ++p) {
        T* g = G + static_cast<std::ptrdiff_t>(index[p]) * k;
        const T a = data[p];
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) store(g + v * L, load(g + v * L) + r[v] * a);
        if constexpr (E != End::none) store_end<T, E>(g + V * L, load_end<T, E>(g + V * L, left) + r[V] * a, left);
    }
}

// out (k, b) = (X W)^T for CSR rows X (b, d) and `width` columns of W (d, k)
template <class T, class I, int V, End E>
void csr_times_columns(const T* data, const I* index, const I* start, const T* W, T* out, std::ptrdiff_t b,
                       std::ptrdiff_t k, std::ptrdiff_t width) {
    T rows[strip * sparse_vectors * lanes<T>];
    for (std::ptrdiff_t r = 0; r < b; r += strip) {
        const std::ptrdiff_t few = b - r < strip ? b - r : strip;
        for (std::ptrdiff_t i = 0; i < few; ++i) {
            const auto a = static_cast<std::ptrdiff_t>(start[r + i]);
            gather<T, I, V, E>(data + a, index + a, start[r + i + 1] - a, W, k, width - V * lanes<T>, rows + i * width);
        }
        for (std::ptrdiff_t c = 0; c < width; ++c)
            for (std::ptrdiff_t i = 0; i < few; ++i) out[c * b + r + i] = rows[i * width + c];
    }
}

// G (d, k) += X^T R^T for CSR rows X (b, d) and `width` rows of R (k, b)
template <class T, class I, int V, End E>
void csr_transposed_columns(const T* data, const I* index, const I* start, const T* R, T* G, std::ptrdiff_t b,
                            std::ptrdiff_t k, std::ptrdiff_t width) {
    T rows[strip * sparse_vectors * lanes<T>];
    for (std::ptrdiff_t r = 0; r < b; r += strip) {
        const std::ptrdiff_t few = b - r < strip ? b - r : strip;
        for (std::ptrdiff_t c = 0; c < width; ++c)
            for (std::ptrdiff_t i = 0; i < few; ++i) rows[i * width + c] = R[c * b + r + i];
        for (std::ptrdiff_t i = 0; i < few; ++i) {
            const auto a = static_cast<std::ptrdiff_t>(start[r + i]);
            scatter<T, I, V, E>(data + a, index + a, start[r + i + 1] - a, rows + i * width, G, k,
                                width - V * lanes<T>);
        }
    }
}

// The function for a number of columns: how many whole vectors, and what end.
template <class T>
constexpr int column_kind(std::ptrdiff_t width) {
    const auto left = width % lanes<T>;
    return static_cast<int>(3 * (width / lanes<T>) + (left == 0 ? 0 : 2 * left == lanes<T> ? 1 : 2));
}

#define EVERY_KIND(function)                                                                                     \
    function<T, I, 0, End::none>, function<T, I, 0, End::half>, function<T, I, 0, End::part>,                    \
        function<T, I, 1, End::none>, function<T, I, 1, End::half>, function<T, I, 1, End::part>,                \
        function<T, I, 2, End::none>, function<T, I, 2, End::half>, function<T, I, 2, End::part>,                \
        function<T, I, 3, End::none>, function<T, I, 3, End::half>, function<T, I, 3, End::part>,                \
        function<T, I, 4, End::none>

template <class T, class I>
void csr_times(const T* data, const I* index, const I* start, const T* W, T* out, std::ptrdiff_t b, std::ptrdiff_t k) {
    constexpr std::ptrdiff_t most = sparse_vectors * lanes<T>;
    using Columns = void (*)(const T*, const I*, const I*, const T*, T*, std::ptrdiff_t, std::ptrdiff_t, std::ptrdiff_t);
    static constexpr Columns kinds[] = {EVERY_KIND(csr_times_columns)};
    for (std::ptrdiff_t c = 0; c < k; c += most) {
        const std::ptrdiff_t width = k - c < most ? k - c : most;
        kinds[column_kind<T>(width)](data, index, start, W + c, out + c * b, b, k, width);
    }
}

template <class T, class I>
void csr_transposed_times(const T* data, const I* index, const I* start, const T* R, T* G, std::ptrdiff_t b,
                          std::ptrdiff_t k) {
    constexpr std::ptrdiff_t most = sparse_vectors * lanes<T>;
    using Columns = void (*)(const T*, const I*, const I*, const T*, T*, std::ptrdiff_t, std::ptrdiff_t, std::ptrdiff_t);
    static constexpr Columns kinds[] = {EVERY_KIND(csr_transposed_columns)};
    for (std::ptrdiff_t c = 0; c < k; c += most) {
        const std::ptrdiff_t width = k - c < most ? k - c : most;
        kinds[column_kind<T>(width)](data, index, start, R + c * b, G + c, b, k, width);
    }
}

#undef EVERY_KIND

}  // namespace
