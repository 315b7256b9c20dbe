// exp and log of vectors in the ranges that softmax needs: exp of numbers at most 0, log of numbers at least 1.
#pragma once

#include "simd.hpp"

namespace {

// Signed integers of the size of T and vectors of them: comparisons return such vectors, with all bits set for true.
template <class T>
using Whole = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;
template <class T>
using Bits = Vector<Whole<T>>;

template <class T>
struct Format;  // how T is stored, and how long the series are
template <>
struct Format<float> {
    static constexpr int digits = 23, bias = 127, exp_terms = 7, log_terms = 6;
    static constexpr float magic = 0x1.8p23f;  // added to a small number, it leaves its nearest integer in the last bits
    static constexpr float lowest = -87.33f;   // below it exp is less than the smallest normal number: 0 here
    static constexpr float ln2_high = 0x1.63p-1f, ln2_low = -0x1.bd0106p-13f;  // their sum; n * high is exact
};
template <>
struct Format<double> {
    static constexpr int digits = 52, bias = 1023, exp_terms = 13, log_terms = 11;
    static constexpr double magic = 0x1.8p52;
    static constexpr double lowest = -708.39;
    static constexpr double ln2_high = 0x1.62e42feep-1, ln2_low = 0x1.a39ef35793c76p-33;
};

template <class T>
INLINE Bits<T> bits_of(Vector<T> v) {
    return (Bits<T>)v;
}

// a where `which` is set, b elsewhere
template <class T>
INLINE Vector<T> pick(Bits<T> which, Vector<T> a, Vector<T> b) {
    return which ? a : b;
}

// exp(z) for z <= 0: z = n ln 2 + r with |r| <= ln(2) / 2, and exp(z) = 2^n (1 + r + r^2/2! + ...). nan gives nan, and
// what is smaller than the smallest normal number is 0.
template <class T>
INLINE Vector<T> exp_below(Vector<T> z) {
    using F = Format<T>;
    const Vector<T> shifted = z * T(1.4426950408889634074) + F::magic;
    const Vector<T> n = shifted - F::magic;
    Vector<T> r = z - n * F::ln2_high;
    r = r - n * F::ln2_low;
    T factorial = 1;
    for (int i = 2; i <= F::exp_terms; ++i) factorial *= T(i);
    T term = T(1) / factorial;
    Vector<T> p = Vector<T>{} + term;
#pragma GCC unroll 16
    for (int i = F::exp_terms; i > 1; --i) {
        term *= T(i);
        p = p * r + term;
    }
    p = p * r + T(1);
    const Bits<T> power = (bits_of<T>(shifted) + Whole<T>(F::bias)) << F::digits;  // the bits of magic are shifted out
    return pick<T>(z < F::lowest, Vector<T>{}, p * (Vector<T>)power);
}

// log(x) for x >= 1: x = 2^n m with sqrt(1/2) <= m < sqrt(2), and log(m) = 2 (s + s^3/3 + s^5/5 + ...) with
// s = (m - 1) / (m + 1). nan gives nan.
template <class T>
INLINE Vector<T> log_above(Vector<T> x) {
    using F = Format<T>;
    constexpr Whole<T> one = Whole<T>(F::bias) << F::digits, mantissa = (Whole<T>(1) << F::digits) - 1;
    const Bits<T> bits = bits_of<T>(x);
    Vector<T> m = (Vector<T>)((bits & mantissa) | one);
    const Bits<T> large = m > T(1.4142135623730950488);
    m = pick<T>(large, m * T(0.5), m);
    const Vector<T> magic = Vector<T>{} + F::magic;
    const Bits<T> exponent = (bits >> F::digits) - Whole<T>(F::bias) - large;  // true is -1
    const Vector<T> n = (Vector<T>)(exponent + bits_of<T>(magic)) - magic;
    const Vector<T> s = (m - T(1)) / (m + T(1)), square = s * s;
    Vector<T> series = Vector<T>{} + T(1) / T(2 * F::log_terms + 1);
#pragma GCC unroll 16
    for (int i = F::log_terms - 1; i > 0; --i) series = series * square + T(1) / T(2 * i + 1);
    const Vector<T> rest = n * F::ln2_low + T(2) * s * square * series;
    return n * F::ln2_high + (T(2) * s + rest) + (x - x);  // nan - nan is nan
}

// log(1 + x) for x >= 0, with all digits for small x: the rounding of 1 + x is undone.
template <class T>
INLINE Vector<T> log_one_plus(Vector<T> x) {
    const Vector<T> sum = x + T(1);
    return log_above<T>(sum) + (x - (sum - T(1))) * (T(1) / sum);
}

}  // namespace
