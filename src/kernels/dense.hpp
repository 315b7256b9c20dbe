// Products of a block of dense rows with a few columns, strip by strip.
#pragma once

#include "strip.hpp"

namespace {
namespace strips {

// `rows` numbers of a column in a strip, copied vector by vector
template <class T>
INLINE void copy(const T* from, T* to, Size rows) {
    constexpr Size L = lanes<T>;
    Size r = 0;
    for (; r + L <= rows; r += L) store(to + r, load(from + r));
    if (r < rows) store_part(to + r, load_part(from + r, rows - r), rows - r);
}

template <class T>
Size product_bytes(Size d, Size k) {
    return (packed_gradient<T>(d, k) + k * row_stride<T>) * sizeof(T);
}

// out (k, b) = W (k, d) X^T, X (b, d)
template <class T>
void times(const T* X, const T* W, T* out, Size b, Size d, Size k, void* memory) {
    T *packed = static_cast<T*>(memory), *Z = packed + packed_weights<T>(d, k);
    pack(W, packed, d, k);
    each_strip(X, b, d, [&](Size first, Size rows, const T* here, const T* next) {
        strip_logits<T, true>(here, packed, Z, rows, d, k, next);
        for (Size c = 0; c < k; ++c) copy(Z + c * row_stride<T>, out + c * b + first, rows);
    });
}

// G (k, d) = R (k, b) X (b, d). The rows of a strip are summed in registers, and strips are added one after another.
template <class T>
void transposed_times(const T* X, const T* R, T* G, Size b, Size d, Size k, void* memory) {
    T *packed = static_cast<T*>(memory), *Z = packed + packed_gradient<T>(d, k);
    const Size lead = leading(X, d);
    for (Size i = 0; i < packed_gradient<T>(d, k); ++i) packed[i] = 0;
    each_strip(X, b, d, [&](Size first, Size rows, const T* here, const T* next) {
        for (Size c = 0; c < k; ++c) copy(R + c * b + first, Z + c * row_stride<T>, rows);
        strip_gradient<T, true>(here, Z, packed, rows, d, k, lead, next);
    });
    unpack(packed, G, d, k, lead);
}

}  // namespace strips
}  // namespace
