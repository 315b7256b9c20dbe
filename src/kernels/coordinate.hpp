// Coordinate descent on a quadratic plus kink |x| within bounds: a sweep over the weights, each moved to its minimum.
//
// The curvature of the quadratic is a matrix, or a sum over rows of the Hessians of cross-entropy,
//
//     sum_i v_i J_i (x) z_i z_i^T,   J_i = diag(p_i) - p_i p_i^T,
//
// for which the change of the logits is kept: a weight then costs a few operations for each row.
#pragma once

#include "level.hpp"
#include "simd.hpp"

namespace {

// The minimiser over x of gradient (x - now) + curvature (x - now)^2 / 2 + kink |x| within bounds
INLINE double minimiser(double now, double gradient, double curvature, double kink, double low, double high) {
    const double target = curvature * now - gradient;
    double x = target > kink ? (target - kink) / curvature : target < -kink ? (target + kink) / curvature : 0.0;
    x = x > low ? x : low;
    return x < high ? x : high;
}

// H (f, f) and the gradient (f,) at x; both are changed. Returns the largest move^2 * curvature.
inline double sweep_matrix(const double* H, double* gradient, const Weights& w) {
    double most = 0;
    for (std::ptrdiff_t i = 0; i < w.count; ++i) {
        const double* row = H + i * w.count;
        if (!(row[i] > 0)) continue;
        const double move = minimiser(w.x[i], gradient[i], row[i], w.kink[i], w.low[i], w.high[i]) - w.x[i];
        if (move == 0) continue;
        w.x[i] += move;
        for (std::ptrdiff_t j = 0; j < w.count; ++j) gradient[j] += move * row[j];
        most = move * move * row[i] > most ? move * move * row[i] : most;
    }
    return most;
}

// sum z c (o - s), or of z c o without s
template <bool coupled>
INLINE float slope(const float* z, const float* c, const float* o, const float* s, std::ptrdiff_t n) {
    constexpr std::ptrdiff_t L = lanes<float>;
    Vector<float> a = {}, b = {};
    std::ptrdiff_t i = 0;
    for (; i + 2 * L <= n; i += 2 * L) {
        Vector<float> first = load(o + i), second = load(o + i + L);
        if (coupled) {
            first -= load(s + i);
            second -= load(s + i + L);
        }
        a += load(z + i) * load(c + i) * first;
        b += load(z + i + L) * load(c + i + L) * second;
    }
    float part[1];
    a += b;
    totals<float, 1>(&a, part);
    for (; i < n; ++i) part[0] += z[i] * c[i] * (coupled ? o[i] - s[i] : o[i]);
    return part[0];
}

// o += move z, s += move p z
template <bool coupled>
INLINE void shift(const float* z, const float* p, float move, float* o, float* s, std::ptrdiff_t n) {
    constexpr std::ptrdiff_t L = lanes<float>;
    std::ptrdiff_t i = 0;
    for (; i + L <= n; i += L) {
        const Vector<float> by = load(z + i) * move;
        store(o + i, load(o + i) + by);
        if (coupled) store(s + i, load(s + i) + load(p + i) * by);
    }
    for (; i < n; ++i) {
        const float by = z[i] * move;
        o[i] += by;
        if (coupled) s[i] += p[i] * by;
    }
}

inline double sweep_rows(const RowHessian& H, const Weights& w) {
    double most = 0;
    for (std::ptrdiff_t i = 0; i < w.count; ++i) {
        if (!(H.curvature[i] > 0)) continue;
        const std::ptrdiff_t k = H.group[i];
        const float *z = H.Z + H.column[i] * H.n, *c = H.C + k * H.n;
        float* o = H.O + k * H.n;
        const double sum = H.s ? slope<true>(z, c, o, H.s, H.n) : slope<false>(z, c, o, nullptr, H.n);
        const double gradient = H.gradient[i] + H.ridge[i] * (w.x[i] - H.start[i]) + sum;
        const double move = minimiser(w.x[i], gradient, H.curvature[i], w.kink[i], w.low[i], w.high[i]) - w.x[i];
        if (move == 0) continue;
        w.x[i] += move;
        if (H.s) shift<true>(z, H.P + k * H.n, static_cast<float>(move), o, H.s, H.n);
        else shift<false>(z, nullptr, static_cast<float>(move), o, nullptr, H.n);
        const double size = move * move * H.curvature[i];
        most = size > most ? size : most;
    }
    return most;
}

}  // namespace
