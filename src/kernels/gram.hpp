// Weighted Gram matrices of columns and their Cholesky factors, in float64, for the Newton steps of small problems.
#pragma once

#include <algorithm>
#include <cmath>

#include "simd.hpp"

namespace {
namespace grams {

using Index = std::ptrdiff_t;

constexpr double jitter = 1e-14;     // part of the diagonal that is added to it
constexpr Index strip = 256;         // rows at a time: the columns of a tile stay in the nearest cache
constexpr Index tile = 4;            // columns whose products are summed at once
constexpr Index across = registers >= 32 ? 4 : 2;  // by as many

INLINE double dot(const double* a, const double* b, Index n) {
    constexpr Index L = lanes<double>;
    Vector<double> one = {}, two = {};
    Index i = 0;
    for (; i + 2 * L <= n; i += 2 * L) {
        one += load(a + i) * load(b + i);
        two += load(a + i + L) * load(b + i + L);
    }
    for (; i + L <= n; i += L) one += load(a + i) * load(b + i);
    one += two;
    double sum[1];
    totals<double, 1>(&one, sum);
    for (; i < n; ++i) sum[0] += a[i] * b[i];
    return sum[0];
}

// to[i] = a_i b for four arrays a_i of n numbers that lie `stride` apart
INLINE void four_dots(const double* a, Index stride, const double* b, Index n, double* to) {
    constexpr Index L = lanes<double>;
    Vector<double> sum[4] = {};
    Index i = 0;
    for (; i + L <= n; i += L) {
        const Vector<double> of = load(b + i);
        for (int r = 0; r < 4; ++r) sum[r] += load(a + r * stride + i) * of;
    }
    totals<double, 4>(sum, to);
    for (; i < n; ++i)
        for (int r = 0; r < 4; ++r) to[r] += a[r * stride + i] * b[i];
}

// Adds a tile of sum_i S_i z_ij z_il over whole vectors of rows: four weighted columns W by the columns of `z`.
INLINE void add_tile(const double* W, const double* const* z, Index rows, double* const* to) {
    constexpr Index L = lanes<double>;
    Vector<double> sum[across][tile] = {};
    for (Index i = 0; i < rows; i += L) {
        Vector<double> w[tile];
        for (Index r = 0; r < tile; ++r) w[r] = load(W + r * strip + i);
        for (Index c = 0; c < across; ++c) {
            const Vector<double> of = load(z[c] + i);
            for (Index r = 0; r < tile; ++r) sum[c][r] += w[r] * of;
        }
    }
    for (Index c = 0; c < across; ++c) {
        double part[tile];
        totals<double, tile>(sum[c], part);
        for (Index r = 0; r < tile; ++r) to[c][r] += part[r];
    }
}

// A (k, k) += the lower triangle of sum_i S_i z_i z_i^T over rows first ... last - 1, whole vectors of them and no more
// than a strip. Column j is at Z + j * stride; W has room for a tile of strips.
inline void add_gram(const double* Z, Index stride, const double* S, Index first, Index last, Index k, double* A,
                     double* W) {
    constexpr Index L = lanes<double>;
    const Index rows = last - first;
    for (Index j = 0; j < k; j += tile) {
        for (Index r = 0; r < tile; ++r) {
            const double* z = Z + std::min(j + r, k - 1) * stride + first;
            for (Index i = 0; i < rows; i += L) store(W + r * strip + i, load(S + i) * load(z + i));
        }
        for (Index l = 0; l < std::min(j + tile, k); l += across) {
            const double* z[across];
            double part[across][tile] = {}, *to[across];
            for (Index c = 0; c < across; ++c) {
                z[c] = Z + std::min(l + c, k - 1) * stride + first;
                to[c] = part[c];
            }
            add_tile(W, z, rows, to);
            for (Index r = 0; r < std::min(tile, k - j); ++r)
                for (Index c = 0; c < across; ++c)
                    if (l + c <= j + r) A[(j + r) * k + l + c] += part[c][r];
        }
    }
}

// The lower factor of A (k, k) by rows, in place of its lower triangle; false where A is not definite.
inline bool cholesky(double* A, Index k) {
    for (Index j = 0; j < k; j += 4) {
        const Index some = std::min<Index>(4, k - j);
        if (some == 4)
            for (Index l = 0; l < j; ++l) {
                double sums[4];
                four_dots(A + j * k, k, A + l * k, l, sums);
                const double inverse = 1 / A[l * k + l];
                for (Index r = 0; r < 4; ++r) A[(j + r) * k + l] = (A[(j + r) * k + l] - sums[r]) * inverse;
            }
        for (Index r = 0; r < some; ++r) {
            double* row = A + (j + r) * k;
            for (Index l = some == 4 ? j : 0; l < j + r; ++l) row[l] = (row[l] - dot(row, A + l * k, l)) / A[l * k + l];
            const double pivot = (1 + jitter) * row[j + r] - dot(row, row, j + r);
            if (!(pivot > 0)) return false;
            row[j + r] = std::sqrt(pivot);
        }
    }
    return true;
}

// x = (A A^T)^-1 x for a lower factor A (k, k)
inline void solve(const double* A, double* x, Index k) {
    for (Index j = 0; j < k; ++j) x[j] = (x[j] - dot(A + j * k, x, j)) / A[j * k + j];
    for (Index j = k; j-- > 0;) {
        x[j] /= A[j * k + j];
        constexpr Index L = lanes<double>;
        const Vector<double> f = broadcast(x[j]);
        Index i = 0;
        for (; i + L <= j; i += L) store(x + i, load(x + i) - f * load(A + j * k + i));
        for (; i < j; ++i) x[i] -= x[j] * A[j * k + i];
    }
}

}  // namespace grams
}  // namespace
