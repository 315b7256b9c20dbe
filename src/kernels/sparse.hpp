// Products of a block of CSR rows: a short run of vector operations for each stored number.
//
// The speed depends on the number of cache lines of the weights that a stored number touches. Vectors of 32 bytes cross
// lines less often than wider ones, so there is no version of these kernels for AVX-512. The stored numbers are of type
// D, the products of type T: float products of double data need no copy of the data.
#pragma once

#include "level.hpp"
#include "softmax.hpp"

namespace {

constexpr int sparse_vectors = 4;     // of weights multiplied by a stored number at once; more columns take more rounds
constexpr std::ptrdiff_t soon = 16;   // stored numbers ahead of which the weights are fetched (measured: 7.3 in place of 8.1 ms)

// What is left of a row of weights behind its whole vectors: nothing, half a vector, or some other part.
enum class End { none, half, part };

template <class T, End E>
INLINE Vector<T> load_end(const T* from, std::ptrdiff_t count) {
    if constexpr (E == End::half) return load_half(from);
    if constexpr (E == End::part) return load_part(from, count);
    return Vector<T>{};
}

template <class T, End E>
INLINE void store_end(T* to, Vector<T> v, std::ptrdiff_t count) {
    if constexpr (E == End::half) store_half(to, v);
    if constexpr (E == End::part) store_part(to, v, count);
}

// Fetches the two lines of weights that the stored number after the next few will meet. The last of a block ask for
// the last again: `ahead` never leaves the block.
template <class T, class I>
INLINE void fetch(const T* W, const I* index, std::ptrdiff_t p, std::ptrdiff_t last, std::ptrdiff_t k) {
    const auto next = static_cast<std::ptrdiff_t>(index[p + soon < last ? p + soon : last]);
    const auto* w = reinterpret_cast<const char*>(W + next * k);
    __builtin_prefetch(w);
    __builtin_prefetch(w + 64);
}

// to[columns] = sum over the stored numbers a .. b - 1 of one row of data * W[index, columns], for V vectors and an end
template <class D, class T, class I, int V, End E>
void gather(const D* data, const I* index, std::ptrdiff_t a, std::ptrdiff_t b, std::ptrdiff_t last, const T* W,
            std::ptrdiff_t k, std::ptrdiff_t left, T* to) {
    constexpr std::ptrdiff_t L = lanes<T>;
    Vector<T> sum[V + 1] = {};
    for (std::ptrdiff_t p = a; p < b; ++p) {
        fetch(W, index, p, last, k);
        const T* w = W + static_cast<std::ptrdiff_t>(index[p]) * k;
        const T x = static_cast<T>(data[p]);
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) sum[v] += load(w + v * L) * x;
        if constexpr (E != End::none) sum[V] += load_end<T, E>(w + V * L, left) * x;
    }
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) store(to + v * L, sum[v]);
    store_end<T, E>(to + V * L, sum[V], left);
}

// G[index, columns] += data * residual[columns] for the stored numbers a .. b - 1 of one row
template <class D, class T, class I, int V, End E>
void scatter(const D* data, const I* index, std::ptrdiff_t a, std::ptrdiff_t b, std::ptrdiff_t last, T* G,
             std::ptrdiff_t k, std::ptrdiff_t left, T* residual) {
    constexpr std::ptrdiff_t L = lanes<T>;
    Vector<T> r[V + 1];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) r[v] = load(residual + v * L);
    r[V] = load_end<T, E>(residual + V * L, left);
    for (std::ptrdiff_t p = a; p < b; ++p) {
        fetch<T>(G, index, p, last, k);
        T* g = G + static_cast<std::ptrdiff_t>(index[p]) * k;
        const T x = static_cast<T>(data[p]);
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) store(g + v * L, load(g + v * L) + r[v] * x);
        if constexpr (E != End::none) store_end<T, E>(g + V * L, load_end<T, E>(g + V * L, left) + r[V] * x, left);
    }
}

// The function for a number of columns: how many whole vectors, and what end.
template <class T>
constexpr int column_kind(std::ptrdiff_t width) {
    const auto left = width % lanes<T>;
    return static_cast<int>(3 * (width / lanes<T>) + (left == 0 ? 0 : 2 * left == lanes<T> ? 1 : 2));
}

#define EVERY_KIND(function)                                                                            \
    function<D, T, I, 0, End::none>, function<D, T, I, 0, End::half>, function<D, T, I, 0, End::part>,  \
        function<D, T, I, 1, End::none>, function<D, T, I, 1, End::half>, function<D, T, I, 1, End::part>, \
        function<D, T, I, 2, End::none>, function<D, T, I, 2, End::half>, function<D, T, I, 2, End::part>, \
        function<D, T, I, 3, End::none>, function<D, T, I, 3, End::half>, function<D, T, I, 3, End::part>, \
        function<D, T, I, 4, End::none>

// A block of CSR rows; `start` may count from somewhere before the block.
template <class D, class I>
struct CsrBlock {
    const D* data;
    const I* index;
    const I* start;
    std::ptrdiff_t b;

    std::ptrdiff_t at(std::ptrdiff_t row) const { return static_cast<std::ptrdiff_t>(start[row]); }
    std::ptrdiff_t last() const { return at(b) - 1; }
};

// rows[i, c] = X W for rows r .. r + few - 1, (few, k)
template <class D, class T, class I>
INLINE void products(const CsrBlock<D, I>& X, std::ptrdiff_t r, std::ptrdiff_t few, const T* W, std::ptrdiff_t k,
                     T* rows) {
    using Gather = void (*)(const D*, const I*, std::ptrdiff_t, std::ptrdiff_t, std::ptrdiff_t, const T*,
                            std::ptrdiff_t, std::ptrdiff_t, T*);
    static constexpr Gather kinds[] = {EVERY_KIND(gather)};
    constexpr std::ptrdiff_t most = sparse_vectors * lanes<T>;
    for (std::ptrdiff_t c = 0; c < k; c += most) {
        const std::ptrdiff_t width = k - c < most ? k - c : most;
        const auto kind = kinds[column_kind<T>(width)];
        for (std::ptrdiff_t i = 0; i < few; ++i)
            kind(X.data, X.index, X.at(r + i), X.at(r + i + 1), X.last(), W + c, k, width % lanes<T>, rows + i * k + c);
    }
}

// G += X^T rows for rows r .. r + few - 1
template <class D, class T, class I>
INLINE void add_transposed(const CsrBlock<D, I>& X, std::ptrdiff_t r, std::ptrdiff_t few, T* rows, T* G,
                           std::ptrdiff_t k) {
    using Scatter = void (*)(const D*, const I*, std::ptrdiff_t, std::ptrdiff_t, std::ptrdiff_t, T*, std::ptrdiff_t,
                             std::ptrdiff_t, T*);
    static constexpr Scatter kinds[] = {EVERY_KIND(scatter)};
    constexpr std::ptrdiff_t most = sparse_vectors * lanes<T>;
    for (std::ptrdiff_t c = 0; c < k; c += most) {
        const std::ptrdiff_t width = k - c < most ? k - c : most;
        const auto kind = kinds[column_kind<T>(width)];
        for (std::ptrdiff_t i = 0; i < few; ++i)
            kind(X.data, X.index, X.at(r + i), X.at(r + i + 1), X.last(), G + c, k, width % lanes<T>, rows + i * k + c);
    }
}

#undef EVERY_KIND

// Buffer for a strip of numbers, (strip, k), from the caller's stack where it is short.
template <class T>
class Strip {
  public:
    explicit Strip(std::ptrdiff_t k) : more(k > few ? new T[strip * k] : nullptr) {}
    ~Strip() { delete[] more; }
    Strip(const Strip&) = delete;
    Strip& operator=(const Strip&) = delete;
    T* get() { return more ? more : own; }

  private:
    static constexpr std::ptrdiff_t few = 64;
    alignas(64) T own[strip * few];
    T* more;
};

// out (k, b) = (X W)^T for CSR rows X (b, d) and W (d, k)
template <class D, class T, class I>
void csr_times(const D* data, const I* index, const I* start, const T* W, T* out, std::ptrdiff_t b, std::ptrdiff_t k) {
    const CsrBlock<D, I> X{data, index, start, b};
    Strip<T> room(k);
    T* rows = room.get();
    for (std::ptrdiff_t r = 0; r < b; r += strip) {
        const std::ptrdiff_t few = b - r < strip ? b - r : strip;
        products(X, r, few, W, k, rows);
        for (std::ptrdiff_t c = 0; c < k; ++c)
            for (std::ptrdiff_t i = 0; i < few; ++i) out[c * b + r + i] = rows[i * k + c];
    }
}

// G (d, k) += X^T R^T for CSR rows X (b, d) and R (k, b)
template <class D, class T, class I>
void csr_transposed_times(const D* data, const I* index, const I* start, const T* R, T* G, std::ptrdiff_t b,
                          std::ptrdiff_t k) {
    const CsrBlock<D, I> X{data, index, start, b};
    Strip<T> room(k);
    T* rows = room.get();
    for (std::ptrdiff_t r = 0; r < b; r += strip) {
        const std::ptrdiff_t few = b - r < strip ? b - r : strip;
        for (std::ptrdiff_t c = 0; c < k; ++c)
            for (std::ptrdiff_t i = 0; i < few; ++i) rows[i * k + c] = R[c * b + r + i];
        add_transposed(X, r, few, rows, G, k);
    }
}

// Loss and gradient of m = k / q softmax models in one pass: the weights and the gradient of a strip's columns, and the
// stored numbers of its rows, are in the second cache when the strip comes to its gradient.
template <class D, class T, class I>
void csr_loss_and_gradient(const D* data, const I* index, const I* start, const T* W, const T* bias,
                           const Truth<T>& truth, std::ptrdiff_t b, std::ptrdiff_t k, std::ptrdiff_t q, T* logits,
                           double* loss, double* sums, T* G) {
    const CsrBlock<D, I> X{data, index, start, b};
    Strip<T> room(k), turned(k);
    T *rows = room.get(), *o = turned.get();
    for (std::ptrdiff_t r = 0; r < b; r += strip) {
        const std::ptrdiff_t few = b - r < strip ? b - r : strip;
        products(X, r, few, W, k, rows);
        for (std::ptrdiff_t c = 0; c < k; ++c) {
            for (std::ptrdiff_t i = 0; i < few; ++i) o[c * strip + i] = rows[i * k + c] + bias[c];
            for (std::ptrdiff_t i = few; i < strip; ++i) o[c * strip + i] = 0;
            if (logits)
                for (std::ptrdiff_t i = 0; i < few; ++i) logits[c * b + r + i] = o[c * strip + i];
        }
        for (std::ptrdiff_t j = 0; j < k / q; ++j) loss[j] += residual<T>(o + j * q * strip, truth, j, r, few, b, q);
        for (std::ptrdiff_t c = 0; c < k; ++c)
            for (std::ptrdiff_t i = 0; i < few; ++i) rows[i * k + c] = o[c * strip + i];
        for (std::ptrdiff_t i = 0; i < few; ++i)
            for (std::ptrdiff_t c = 0; c < k; ++c) sums[c] += static_cast<double>(rows[i * k + c]);
        add_transposed(X, r, few, rows, G, k);
    }
}

}  // namespace
