// The kernels as tables of functions, for each instruction set its own; which one is used is decided when the program runs.
#pragma once

#include <cstddef>
#include <cstdint>

// One reading of dense rows: what goes in, and where to write.
template <class T>
struct Pass {
    const T *X, *W, *bias;      // (b, d), (k, d), (k,) for k = m q
    const std::int64_t* codes;  // (b,), or null:
    const T* Y;                 // (b, q)
    const double* V;            // row weights (m, b) where the models have their own, (1, b), or null
    bool own_weights;
    T* logits;          // (k, b) or null
    double* loss;       // (m,)
    double* residual;   // (k,)
    T* G;               // (k, d)
    std::ptrdiff_t b, d, m, q;
    void* memory;  // as many bytes as `loss_and_gradient_bytes` says, at an address that is a multiple of 64
};

template <class T>
struct Dense {
    void (*times)(const T* X, const T* W, T* out, std::ptrdiff_t b, std::ptrdiff_t d, std::ptrdiff_t k);
    void (*transposed_times)(const T* X, const T* R, T* G, std::ptrdiff_t b, std::ptrdiff_t d, std::ptrdiff_t k);
    std::ptrdiff_t (*loss_and_gradient_bytes)(std::ptrdiff_t d, std::ptrdiff_t k);
    void (*loss_and_gradient)(const Pass<T>& pass);
    void (*extremes)(const T* X, T* low, T* high, std::ptrdiff_t b, std::ptrdiff_t d);
    void (*moments)(const T* X, const double* shift, const double* scale, double* first, double* second,
                    std::ptrdiff_t b, std::ptrdiff_t d);
};

template <class T, class I>
struct Csr {
    void (*times)(const T* data, const I* index, const I* start, const T* W, T* out, std::ptrdiff_t b, std::ptrdiff_t k);
    void (*transposed_times)(const T* data, const I* index, const I* start, const T* R, T* G, std::ptrdiff_t b,
                             std::ptrdiff_t k);
};

struct DenseKernels {
    Dense<float> of_float;
    Dense<double> of_double;
};

struct CsrKernels {
    Csr<float, std::int32_t> of_float_int32;
    Csr<float, std::int64_t> of_float_int64;
    Csr<double, std::int32_t> of_double_int32;
    Csr<double, std::int64_t> of_double_int64;
};

extern const DenseKernels baseline_dense;
extern const CsrKernels baseline_csr;
#if defined(__x86_64__)
extern const DenseKernels avx2_dense, avx512_dense;
extern const CsrKernels avx2_csr;
#endif
