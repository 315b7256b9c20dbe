// Softmax of a strip of rows, class-major: each lane of a vector is a row, so sums over classes need no shuffles.
#pragma once

#include "functions.hpp"
#include "level.hpp"

namespace {

constexpr std::ptrdiff_t strip = 16;  // rows turned from row-major to class-major at a time

INLINE float log_of(float x) { return __builtin_logf(x); }

// o (q, strip): the logits of model j for rows r .. r + few - 1 become V (P - Y); returns the V-weighted cross-entropy.
template <class T>
INLINE double residual(T* o, const Truth<T>& truth, std::ptrdiff_t j, std::ptrdiff_t r, std::ptrdiff_t few,
                       std::ptrdiff_t b, std::ptrdiff_t q) {
    constexpr std::ptrdiff_t L = lanes<T>;
    // below: the label's logit, less the largest; the mass is 1 + sum, with one of the largest terms excluded from the
    // sum, which keeps its digits
    T below[strip], log_mass[strip];
    for (std::ptrdiff_t i = 0; i < strip; i += L) {
        Vector<T> high = load(o + i), sum = {};
        for (std::ptrdiff_t c = 1; c < q; ++c) {
            const Vector<T> next = load(o + c * strip + i);
            high = next > high ? next : high;
        }
        for (std::ptrdiff_t c = 0; c < q; ++c) store(o + c * strip + i, load(o + c * strip + i) - high);
        for (std::ptrdiff_t k = i; k < i + L && k < few; ++k) {
            if (truth.codes) {
                below[k] = o[truth.codes[r + k] * strip + k];
                continue;
            }
            T total = 0;
            below[k] = 0;
            for (std::ptrdiff_t c = 0; c < q; ++c) {
                const T y = truth.shares[(r + k) * q + c];
                below[k] += y * o[c * strip + k];
                total += y;
            }
            below[k] -= reinterpret_cast<const T*>(&high)[k - i] * (T(1) - total);  // labels that do not quite sum to 1
        }
        Bits<T> unseen = ~Bits<T>{};
        for (std::ptrdiff_t c = 0; c < q; ++c) {
            const Vector<T> down = load(o + c * strip + i), e = exp_below<T>(down);
            const Bits<T> largest = unseen & (down == T(0));
            sum += pick<T>(largest, Vector<T>{}, e);
            unseen &= ~largest;
            store(o + c * strip + i, e);
        }
        const Vector<T> share = T(1) / (T(1) + sum);
        for (std::ptrdiff_t c = 0; c < q; ++c) store(o + c * strip + i, load(o + c * strip + i) * share);
        store(log_mass + i, log_one_plus<T>(sum));
    }
    double loss = 0;
    const double* V = truth.weights ? truth.weights + (truth.many ? j * b : 0) + r : nullptr;
    for (std::ptrdiff_t i = 0; i < few; ++i) {
        const double lost = static_cast<double>(log_mass[i] - below[i]);
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
