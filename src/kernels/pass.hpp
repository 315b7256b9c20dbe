// Loss and gradient of softmax regression on dense rows in one pass: strip by strip, logits, softmax, residual, gradient.
//
// Column c of model j is column j * q + c; inside a strip the logits are kept column by column, so that maxima and sums
// over the classes are vector operations along the rows.
#pragma once

#include "functions.hpp"
#include "level.hpp"
#include "strip.hpp"

namespace {
namespace strips {

// One float64 for each lane of a vector of T: sums over all rows.
template <class T>
struct Wide {
    double lane[lanes<T>];
};

template <class T>
INLINE void add_to(Wide<T>& sum, Vector<T> v) {
    T part[lanes<T>];
    store(part, v);
    for (Size i = 0; i < lanes<T>; ++i) sum.lane[i] += static_cast<double>(part[i]);
}

template <class T>
double total(const Wide<T>& sum) {
    double all = 0;
    for (Size i = 0; i < lanes<T>; ++i) all += sum.lane[i];
    return all;
}

// Buffers of a strip, laid out one after another in memory of the caller.
template <class T>
struct Desk {
    T *W, *G, *Z, *Y, *weight;
    Whole<T>* code;
    double* exact;  // weights in float64
    Wide<T>*residual, *loss;

    static Size numbers(Size d, Size k) { return packed_weights<T>(d, k) + packed_gradient<T>(d, k) + (2 * k + 2) * row_stride<T>; }
    static Size bytes(Size d, Size k) {
        return numbers(d, k) * sizeof(T) + row_stride<T> * sizeof(double) + 2 * k * sizeof(Wide<T>);
    }
    Desk(void* memory, Size d, Size k) {
        W = static_cast<T*>(memory);
        G = W + packed_weights<T>(d, k);
        Z = G + packed_gradient<T>(d, k);
        Y = Z + k * row_stride<T>;
        weight = Y + k * row_stride<T>;
        code = reinterpret_cast<Whole<T>*>(weight + row_stride<T>);
        exact = reinterpret_cast<double*>(code + row_stride<T>);
        residual = reinterpret_cast<Wide<T>*>(exact + row_stride<T>);
        loss = residual + k;
        for (Size i = 0; i < packed_gradient<T>(d, k); ++i) G[i] = 0;
        for (Size c = 0; c < 2 * k; ++c) residual[c] = {};
    }
};

// Codes or label probabilities of a strip, the latter class by class; rows behind the last one get code 0 or zeros.
template <class T>
void take_labels(const Pass<T>& pass, const Desk<T>& desk, Size first, Size rows, Size whole) {
    if (pass.codes) {
        for (Size r = 0; r < whole; ++r) {
            const std::int64_t code = r < rows ? pass.codes[first + r] : 0;
            desk.code[r] = code < 0 || code >= pass.q ? Whole<T>(-1) : static_cast<Whole<T>>(code);
        }
        return;
    }
    for (Size r = 0; r < whole; ++r)
        for (Size c = 0; c < pass.q; ++c)
            desk.Y[c * row_stride<T> + r] = r < rows ? pass.Y[(first + r) * pass.q + c] : T(0);
}

// Row weights of one model in a strip; rows behind the last one have weight 0.
template <class T>
void take_weights(const double* V, const Desk<T>& desk, Size rows, Size whole) {
    for (Size r = 0; r < whole; ++r) {
        desk.exact[r] = r < rows ? (V ? V[r] : 1.0) : 0.0;
        desk.weight[r] = static_cast<T>(desk.exact[r]);
    }
}

// One model's logits Z (q, rows) of a strip become its weighted residual V (P - Y); its loss is added up.
template <class T, bool Codes>
void softmax(T* Z, const Desk<T>& desk, Size q, Size whole, Wide<T>& loss, Wide<T>* residual) {
    constexpr Size L = lanes<T>, stride = row_stride<T>;
    for (Size r = 0; r < whole; r += L) {
        T* z = Z + r;
        Vector<T> top = load(z);
        for (Size c = 1; c < q; ++c) {
            const Vector<T> o = load(z + c * stride);
            top = pick<T>(o > top, o, top);
        }
        const Bits<T> code = *reinterpret_cast<const Bits<T>*>(desk.code + r);
        // the difference of the label's logit from the largest; nan for a code that is not a class
        // the mass is 1 + rest, with one of the largest terms excluded from the rest, which keeps its digits
        Bits<T> unseen = ~Bits<T>{};
        Vector<T> rest = {}, below = Codes ? broadcast(T(__builtin_nan(""))) : top, given = {};
        for (Size c = 0; c < q; ++c) {
            const Vector<T> down = load(z + c * stride) - top;  // softmax ignores shifts, and exp(<= 0) cannot overflow
            const Vector<T> e = exp_below<T>(down);
            const Bits<T> largest = unseen & (down == T(0));
            rest += pick<T>(largest, Vector<T>{}, e);
            unseen &= ~largest;
            store(z + c * stride, e);
            if constexpr (Codes) {
                below = pick<T>(code == Whole<T>(c), down, below);
            } else {
                const Vector<T> y = load(desk.Y + c * stride + r);
                given += y * down;
                below -= y * top;  // top (1 - sum of y): 0 for labels that sum to 1
            }
        }
        const Vector<T> share = T(1) / (T(1) + rest);
        const Vector<T> value = log_one_plus<T>(rest) - (Codes ? below : given - below);
        T values[L];
        store(values, value);
        for (Size i = 0; i < L; ++i) loss.lane[i] += static_cast<double>(values[i]) * desk.exact[r + i];
        const Vector<T> weight = load(desk.weight + r);
        for (Size c = 0; c < q; ++c) {
            const Vector<T> y = Codes ? pick<T>(code == Whole<T>(c), broadcast(T(1)), Vector<T>{})
                                      : load(desk.Y + c * stride + r);
            const Vector<T> R = (load(z + c * stride) * share - y) * weight;
            add_to<T>(residual[c], R);
            store(z + c * stride, R);
        }
    }
}

// Z + bias, stored if requested; rows behind the last one get zeros.
template <class T>
void add_bias(const Pass<T>& pass, T* Z, Size first, Size rows, Size whole) {
    constexpr Size L = lanes<T>;
    for (Size c = 0; c < pass.m * pass.q; ++c) {
        const Vector<T> bias = broadcast(pass.bias[c]);
        T *z = Z + c * row_stride<T>, *kept = pass.logits ? pass.logits + c * pass.b + first : nullptr;
        for (Size r = 0; r + L <= rows; r += L) {
            const Vector<T> o = load(z + r) + bias;
            store(z + r, o);
            if (kept) store(kept + r, o);
        }
        if (rows == whole) continue;
        const Size r = whole - L;
        const Vector<T> o = load_part(z + r, rows - r) + bias;
        store(z + r, Vector<T>{});
        store_part(z + r, o, rows - r);
        if (kept) store_part(kept + r, o, rows - r);
    }
}

template <class T>
Size pass_bytes(Size d, Size k) {
    return Desk<T>::bytes(d, k);
}

template <class T>
void loss_and_gradient(const Pass<T>& pass) {
    const Size b = pass.b, d = pass.d, q = pass.q, k = pass.m * q, lead = leading(pass.X, d);
    const Desk<T> desk(pass.memory, d, k);
    const auto residual = pass.codes ? softmax<T, true> : softmax<T, false>;
    pack(pass.W, desk.W, d, k);
    each_strip(pass.X, b, d, [&](Size first, Size rows, const T* X, const T* next) {
        const Size whole = round_up(rows, lanes<T>);
        strip_logits<T, false>(X, desk.W, desk.Z, rows, d, k, next);
        add_bias(pass, desk.Z, first, rows, whole);
        take_labels(pass, desk, first, rows, whole);
        for (Size j = 0; j < pass.m; ++j) {
            take_weights(pass.V ? pass.V + (pass.own_weights ? j * b : 0) + first : nullptr, desk, rows, whole);
            residual(desk.Z + j * q * row_stride<T>, desk, q, whole, desk.loss[j], desk.residual + j * q);
        }
        strip_gradient<T, false>(X, desk.Z, desk.G, rows, d, k, lead, next);
    });
    unpack(desk.G, pass.G, d, k, lead);
    for (Size j = 0; j < pass.m; ++j) pass.loss[j] = total(desk.loss[j]);
    for (Size c = 0; c < k; ++c) pass.residual[c] = total(desk.residual[c]);
}

}  // namespace strips
}  // namespace
