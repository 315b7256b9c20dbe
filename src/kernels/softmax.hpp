// Softmax of a strip of rows, class-major: each lane of a vector is a row, so sums over classes need no shuffling.
#pragma once

#include "functions.hpp"
#include "level.hpp"

namespace {

constexpr std::ptrdiff_t strip = 16;  // rows turned from row-major to class-major at a time

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
            const Vector<T> e = exp_below<T>(load(o + c * strip + i) - high);
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
