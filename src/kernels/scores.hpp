// Logits or probabilities of dense rows for prediction: row by row, in float64 after products in any precision.
#pragma once

#include "functions.hpp"
#include "level.hpp"
#include "strip.hpp"

namespace {
namespace strips {

// Convert numbers of T to a vector of float64
template <class T>
INLINE Vector<double> widened(const T* from) {
    typedef T Few __attribute__((vector_size(lanes<double> * sizeof(T)), aligned(sizeof(T)), may_alias));
    return __builtin_convertvector(*reinterpret_cast<const Few*>(from), Vector<double>);
}

template <class T>
Size scores_bytes(Size d, Size k) {
    return (packed_weights<T>(d, k) + k * row_stride<T>) * sizeof(T) + k * sizeof(Vector<double>);
}

// softmax of logits o (k, lanes), in place
INLINE void softmax_of(Vector<double>* o, Size k) {
    Vector<double> top = o[0], mass = {};
    for (Size c = 1; c < k; ++c) top = pick<double>(o[c] > top, o[c], top);
    for (Size c = 0; c < k; ++c) {
        o[c] = exp_below<double>(o[c] - top);
        mass += o[c];
    }
    const Vector<double> share = 1.0 / mass;
    for (Size c = 0; c < k; ++c) o[c] *= share;
}

// out (b, k) = X W^T + bias, or the softmax of that; whether all of these logits are finite.
template <class T>
bool scores(const Scores<T>& task) {
    constexpr Size L = lanes<double>;
    const Size d = task.d, k = task.k;
    T *W = static_cast<T*>(task.memory), *Z = W + packed_weights<T>(d, k);
    auto* o = reinterpret_cast<Vector<double>*>(Z + k * row_stride<T>);
    Vector<double> not_finite = {};  // o - o is 0, and nan where o is not finite
    pack(task.W, W, d, k);
    each_strip(task.X, task.b, d, [&](Size first, Size rows, const T* X, const T* next) {
        strip_logits<T, true>(X, W, Z, rows, d, k, next);
        for (Size c = 0; c < k; ++c)
            for (Size r = rows; r % L; ++r) Z[c * row_stride<T> + r] = 0;
        for (Size r = 0; r < rows; r += L) {
            for (Size c = 0; c < k; ++c) {
                o[c] = widened(Z + c * row_stride<T> + r) + task.bias[c];
                not_finite += o[c] - o[c];
            }
            if (task.probabilities) softmax_of(o, k);
            double* out = task.out + (first + r) * k;
            for (Size i = 0; i < L && r + i < rows; ++i)
                for (Size c = 0; c < k; ++c) *out++ = reinterpret_cast<const double*>(o + c)[i];
        }
    });
    double all = 0;
    for (Size i = 0; i < L; ++i) all += not_finite[i];
    return all == 0;
}

}  // namespace strips
}  // namespace
