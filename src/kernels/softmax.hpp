// Softmax of a strip of rows, class-major: each lane of a vector is a row, so sums over classes need no shuffling.
#pragma once

#include "level.hpp"
#include "simd.hpp"

namespace {

constexpr std::ptrdiff_t strip = 16;  // rows turned from row-major to class-major at a time

template <class T>
struct Bits;
template <>
struct Bits<float> {
    using Word = std::uint32_t;
    static constexpr int mantissa = 23, bias = 127, terms = 7;
    static constexpr float round = 12582912.0f;  // 1.5 * 2^23: added and taken away again, it leaves a whole number
    static constexpr float least = -87.0f;
    static constexpr float ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;  // high: 12 bits, so n * high is exact
};
template <>
struct Bits<double> {
    using Word = std::uint64_t;
    static constexpr int mantissa = 52, bias = 1023, terms = 13;
    static constexpr double round = 6755399441055744.0;
    static constexpr double least = -708.0;
    static constexpr double ln2_high = 0.693147180369123816490, ln2_low = 1.90821492927058770002e-10;
};

constexpr double factorial(int n) { return n < 2 ? 1 : n * factorial(n - 1); }

// exp(x) for x <= 0, to about one unit in the last place; 0 below `least`, nan for nan.
// x = n ln 2 + r with |r| <= ln(2) / 2; the series of exp(r) has its last term below the precision; 2^n is a bit pattern.
template <class T>
INLINE Vector<T> exp_of_negative(Vector<T> x) {
    using B = Bits<T>;
    typedef typename B::Word Words __attribute__((vector_size(vector_bytes)));
    const Vector<T> raised = x < B::least ? Vector<T>{} + B::least : x;
    const Vector<T> shifted = raised * T(1.4426950408889634) + B::round;
    const Vector<T> n = shifted - B::round;
    const Vector<T> r = (raised - n * B::ln2_high) - n * B::ln2_low;
    Vector<T> sum = Vector<T>{} + T(1 / factorial(B::terms));
#pragma GCC unroll 16
    for (int i = B::terms - 1; i >= 0; --i) sum = sum * r + T(1 / factorial(i));
    const Words power = ((Words)shifted + B::bias) << B::mantissa;
    return x < B::least ? Vector<T>{} : sum * (Vector<T>)power;
}

INLINE float log_of(float x) { return __builtin_logf(x); }
INLINE double log_of(double x) { return __builtin_log(x); }

// o (q, strip): the logits of model j for rows r .. r + few - 1 become V (P - Y); returns the V-weighted cross-entropy.
template <class T>
INLINE double residual(T* o, const Truth<T>& truth, std::ptrdiff_t j, std::ptrdiff_t r, std::ptrdiff_t few,
                       std::ptrdiff_t b, std::ptrdiff_t q) {
    constexpr std::ptrdiff_t L = lanes<T>;
    T given[strip], top[strip], mass[strip];
    for (std::ptrdiff_t i = 0; i < strip; ++i) given[i] = 0;
    for (std::ptrdiff_t i = 0; i < few; ++i) {
        if (truth.codes) given[i] = o[truth.codes[r + i] * strip + i];
        else
            for (std::ptrdiff_t c = 0; c < q; ++c) given[i] += truth.shares[(r + i) * q + c] * o[c * strip + i];
    }
    for (std::ptrdiff_t i = 0; i < strip; i += L) {
        Vector<T> high = load(o + i), sum = {};
        for (std::ptrdiff_t c = 1; c < q; ++c) {
            const Vector<T> next = load(o + c * strip + i);
            high = next > high ? next : high;
        }
        for (std::ptrdiff_t c = 0; c < q; ++c) {
            const Vector<T> e = exp_of_negative<T>(load(o + c * strip + i) - high);
            store(o + c * strip + i, e);
            sum += e;
        }
        const Vector<T> share = T(1) / sum;
        for (std::ptrdiff_t c = 0; c < q; ++c) store(o + c * strip + i, load(o + c * strip + i) * share);
        store(top + i, high);
        store(mass + i, sum);
    }
    double loss = 0;
    const double* V = truth.weights ? truth.weights + (truth.many ? j * b : 0) + r : nullptr;
    for (std::ptrdiff_t i = 0; i < few; ++i) {
        const double lost = static_cast<double>(log_of(mass[i]) + (top[i] - given[i]));
        loss += V ? V[i] * lost : lost;
        if (truth.codes) o[truth.codes[r + i] * strip + i] -= 1;
        else
            for (std::ptrdiff_t c = 0; c < q; ++c) o[c * strip + i] -= truth.shares[(r + i) * q + c];
        if (V)
            for (std::ptrdiff_t c = 0; c < q; ++c) o[c * strip + i] *= static_cast<T>(V[i]);
    }
    return loss;
}

}  // namespace
