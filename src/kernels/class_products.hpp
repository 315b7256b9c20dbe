// Products of standardised columns with the weights or residuals of classes, in tiles that stay in registers. Columns
// (k, n) and logits (q, n) hold the rows in lanes; n is a multiple of the lanes.
#pragma once

#include <cstddef>

#include "level.hpp"
#include "simd.hpp"

namespace {
namespace class_products {

constexpr std::ptrdiff_t most_classes = 4;  // of a tile
constexpr std::ptrdiff_t wide = 2;          // vectors of rows, or columns, of a tile

// out (q, n) = theta (q, k) Z (k, n) for C classes from c and V vectors of rows from i
template <int C, int V>
INLINE void times_tile(const double* theta, const double* Z, double* out, std::ptrdiff_t n, std::ptrdiff_t k) {
    constexpr std::ptrdiff_t L = lanes<double>;
    Vector<double> sums[C][V] = {};
    for (std::ptrdiff_t j = 0; j < k; ++j) {
        Vector<double> z[V];
        for (int v = 0; v < V; ++v) z[v] = load(Z + j * n + v * L);
        for (int c = 0; c < C; ++c) {
            const Vector<double> w = broadcast(theta[c * k + j]);
            for (int v = 0; v < V; ++v) sums[c][v] += w * z[v];
        }
    }
    for (int c = 0; c < C; ++c)
        for (int v = 0; v < V; ++v) store(out + c * n + v * L, sums[c][v]);
}

template <int V>
INLINE void times_rows(const double* theta, const double* Z, double* out, std::ptrdiff_t n, std::ptrdiff_t k,
                       std::ptrdiff_t q) {
    std::ptrdiff_t c = 0;
    for (; c + most_classes <= q; c += most_classes) times_tile<4, V>(theta + c * k, Z, out + c * n, n, k);
    if (q - c >= 2) times_tile<2, V>(theta + c * k, Z, out + c * n, n, k), c += 2;
    if (q - c == 1) times_tile<1, V>(theta + c * k, Z, out + c * n, n, k);
}

inline void times(const double* theta, const double* Z, double* out, std::ptrdiff_t n, std::ptrdiff_t k,
                  std::ptrdiff_t q) {
    constexpr std::ptrdiff_t L = lanes<double>;
    std::ptrdiff_t i = 0;
    for (; i + wide * L <= n; i += wide * L) times_rows<wide>(theta, Z + i, out + i, n, k, q);
    for (; i + L <= n; i += L) times_rows<1>(theta, Z + i, out + i, n, k, q);
}

// out (q, k) = R (q, n) Z^T (n, k) for C classes and J columns
template <int C, int J>
INLINE void transposed_tile(const double* R, const double* Z, double* out, std::ptrdiff_t n, std::ptrdiff_t k) {
    constexpr std::ptrdiff_t L = lanes<double>;
    Vector<double> sums[C][J] = {};
    for (std::ptrdiff_t i = 0; i + L <= n; i += L) {
        Vector<double> z[J];
        for (int j = 0; j < J; ++j) z[j] = load(Z + j * n + i);
        for (int c = 0; c < C; ++c) {
            const Vector<double> r = load(R + c * n + i);
            for (int j = 0; j < J; ++j) sums[c][j] += r * z[j];
        }
    }
    for (int c = 0; c < C; ++c)
        for (int j = 0; j < J; ++j) {
            double sum = 0;
            for (std::ptrdiff_t l = 0; l < L; ++l) sum += sums[c][j][l];
            out[c * k + j] = sum;
        }
}

template <int J>
INLINE void transposed_columns(const double* R, const double* Z, double* out, std::ptrdiff_t n, std::ptrdiff_t k,
                               std::ptrdiff_t q) {
    std::ptrdiff_t c = 0;
    for (; c + most_classes <= q; c += most_classes) transposed_tile<4, J>(R + c * n, Z, out + c * k, n, k);
    if (q - c >= 2) transposed_tile<2, J>(R + c * n, Z, out + c * k, n, k), c += 2;
    if (q - c == 1) transposed_tile<1, J>(R + c * n, Z, out + c * k, n, k);
}

inline void transposed_times(const double* R, const double* Z, double* out, std::ptrdiff_t n, std::ptrdiff_t k,
                             std::ptrdiff_t q) {
    std::ptrdiff_t j = 0;
    for (; j + wide <= k; j += wide) transposed_columns<wide>(R, Z + j * n, out + j, n, k, q);
    for (; j < k; ++j) transposed_columns<1>(R, Z + j * n, out + j, n, k, q);
}

}  // namespace class_products
}  // namespace
