// The loss of logits (q, n) that hold the rows in lanes; n is a multiple of the lanes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "functions.hpp"
#include "level.hpp"

namespace {

// Weighted sum of the losses, and the probabilities P (q, n). The mass of a row is 1 + rest: one of the largest terms is
// left out of the rest, which keeps its digits.
inline double loss_of_classes(const double* logits, const std::int64_t* codes, const double* weights, std::ptrdiff_t n,
                              std::ptrdiff_t q, double* P) {
    constexpr std::ptrdiff_t L = lanes<double>;
    double loss = 0;
    for (std::ptrdiff_t i = 0; i < n; i += L) {
        Vector<double> high = load(logits + i), rest = {};
        for (std::ptrdiff_t c = 1; c < q; ++c) {
            const Vector<double> next = load(logits + c * n + i);
            high = next > high ? next : high;
        }
        Bits<double> unseen = ~Bits<double>{};
        for (std::ptrdiff_t c = 0; c < q; ++c) {
            const Vector<double> down = load(logits + c * n + i) - high, e = exp_below<double>(down);
            const Bits<double> largest = unseen & (down == 0.0);
            rest += pick<double>(largest, Vector<double>{}, e);
            unseen &= ~largest;
            store(P + c * n + i, e);
        }
        const Vector<double> share = 1.0 / (1.0 + rest);
        for (std::ptrdiff_t c = 0; c < q; ++c) store(P + c * n + i, load(P + c * n + i) * share);
        const Vector<double> log_mass = log_one_plus<double>(rest);
        for (std::ptrdiff_t l = 0; l < L; ++l)
            if (weights[i + l] != 0) loss += weights[i + l] * (log_mass[l] - (logits[codes[i + l] * n + i + l] - high[l]));
    }
    return loss;
}

}  // namespace
