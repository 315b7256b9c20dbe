// The kernels as tables of functions, for each instruction set its own; which one is used is decided when the program runs.
#pragma once

#include <cstddef>
#include <cstdint>

template <class T>
struct Dense {
    void (*times)(const T* X, const T* W, T* out, std::ptrdiff_t b, std::ptrdiff_t d, std::ptrdiff_t k);
    void (*transposed_times)(const T* X, const T* R, T* G, std::ptrdiff_t b, std::ptrdiff_t d, std::ptrdiff_t k);
};

// What is known of a block's rows: labels as codes (b,) or as label probabilities (b, q), the other a null pointer, and
// row weights (m, b), one row of them for all models, or none.
template <class T>
struct Truth {
    const std::int64_t* codes;
    const T* shares;
    const double* weights;
    bool many;
};

// CSR rows with stored numbers of type D and indices of type I, multiplied in type T
template <class D, class T, class I>
struct Csr {
    void (*times)(const D* data, const I* index, const I* start, const T* W, T* out, std::ptrdiff_t b, std::ptrdiff_t k);
    void (*transposed_times)(const D* data, const I* index, const I* start, const T* R, T* G, std::ptrdiff_t b,
                             std::ptrdiff_t k);
    void (*loss_and_gradient)(const D* data, const I* index, const I* start, const T* W, const T* bias,
                              const Truth<T>& truth, std::ptrdiff_t b, std::ptrdiff_t k, std::ptrdiff_t q, T* logits,
                              double* loss, double* sums, T* G);
};

struct DenseKernels {
    Dense<float> of_float;
    Dense<double> of_double;
};

template <class I>
struct CsrOf {
    Csr<float, float, I> single;
    Csr<double, double, I> twofold;
    Csr<double, float, I> mixed;
};

struct CsrKernels {
    CsrOf<std::int32_t> of_int32;
    CsrOf<std::int64_t> of_int64;
};

extern const DenseKernels baseline_dense;
extern const CsrKernels baseline_csr;
#if defined(__x86_64__)
extern const DenseKernels avx2_dense, avx512_dense;
extern const CsrKernels avx2_csr;
#endif
