// Tables of kernel functions, one for each instruction set; the table is chosen at run time.
#pragma once

#include <cstddef>
#include <cstdint>

// Arguments of a pass over dense rows.
template <class T>
struct Pass {
    const T *X, *W, *bias;      // (b, d), (k, d), (k,) for k = m q
    const std::int64_t* codes;  // (b,), or null:
    const T* Y;                 // (b, q)
    const double* V;            // row weights (m, b), (1, b) shared by all models, or null
    bool own_weights;
    T* logits;          // (k, b) or null
    double* loss;       // (m,)
    double* residual;   // (k,)
    T* G;               // (k, d)
    std::ptrdiff_t b, d, m, q;
    void* memory;
};

// Arguments of predictions for dense rows.
template <class T>
struct Scores {
    const T *X, *W;      // (b, d), (k, d)
    const double* bias;  // (k,)
    double* out;         // (b, k)
    std::ptrdiff_t b, d, k;
    bool probabilities;
    void* memory;
};

// `memory` has the number of bytes that the preceding function returns, aligned to 64 bytes.
template <class T>
struct Dense {
    std::ptrdiff_t (*product_bytes)(std::ptrdiff_t d, std::ptrdiff_t k);
    void (*times)(const T* X, const T* W, T* out, std::ptrdiff_t b, std::ptrdiff_t d, std::ptrdiff_t k, void* memory);
    void (*transposed_times)(const T* X, const T* R, T* G, std::ptrdiff_t b, std::ptrdiff_t d, std::ptrdiff_t k,
                             void* memory);
    std::ptrdiff_t (*pass_bytes)(std::ptrdiff_t d, std::ptrdiff_t k);
    void (*loss_and_gradient)(const Pass<T>& pass);
    std::ptrdiff_t (*scores_bytes)(std::ptrdiff_t d, std::ptrdiff_t k);
    bool (*scores)(const Scores<T>& task);
    void (*extremes)(const T* X, T* low, T* high, std::ptrdiff_t b, std::ptrdiff_t d);
    void (*moments)(const T* X, const double* shift, const double* scale, double* first, double* second,
                    std::ptrdiff_t b, std::ptrdiff_t d);
    void (*pack_triangle)(const T* L, T* packed, std::ptrdiff_t k);
    std::ptrdiff_t (*solve_bytes)(std::ptrdiff_t k, std::ptrdiff_t r);
    void (*solve_triangle)(const T* packed, T* B, std::ptrdiff_t k, std::ptrdiff_t r, void* memory);
};

// Labels of a block as codes (b,) or label probabilities (b, q), the other a null pointer, and row weights: (m, b), (1, b)
// shared by all models, or none.
template <class T>
struct Truth {
    const std::int64_t* codes;
    const T* shares;
    const double* weights;
    bool many;
};

// The state of the dual solver: W (d, q) and pull (q) hold what alpha says; bias (q) is fixed for now, `reach` is the
// column of which pull is the weight. rate = 1 / (N strength); curvature (n) = rate * (||x||^2 + reach^2).
struct Dual {
    float* W;
    const float* bias;
    float* pull;
    float* log_alpha;
    const float* curvature;
    const float* weights;
    float* divergence;
    float reach, rate;
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

template <class D, class I>
struct CsrDual {
    void (*steps)(const D* data, const I* index, const I* start, const std::int64_t* order, std::ptrdiff_t count,
                  const Dual& dual, std::ptrdiff_t n, std::ptrdiff_t q);
    void (*row_squares)(const D* data, const I* start, float* out, std::ptrdiff_t n);
};

constexpr std::ptrdiff_t slab = 128;  // classes that lie together in the kernels for many classes

// An array (slabs, rows, slab): the distances are those between neighbouring slabs and rows.
template <class T>
struct Slabs {
    T* first;
    std::ptrdiff_t slabs, slab_stride, stride;
};

template <class D, class T, class I>
using SlabTimes = void (*)(const D* data, const I* index, const I* start, const std::int64_t* target,
                           std::ptrdiff_t rows, const Slabs<const T>& W, const T* bias, bool add, const Slabs<T>& out);
template <class T>
using SlabSoftmax = void (*)(T* Z, std::ptrdiff_t slabs, std::ptrdiff_t out_rows, std::ptrdiff_t rows,
                             std::ptrdiff_t q, const std::int64_t* codes, const double* weights, double* loss,
                             double* p_label);

// The state of the dual solver for many classes: W, bias and pull have `stride` columns, a multiple of the slab, and so
// have the codes of the dual probabilities of each row.
struct WideDual {
    float* W;
    const float* bias;
    float* pull;
    std::uint16_t* codes;
    const float* curvature;
    const float* weights;
    float* divergence;
    float reach, rate;
    std::ptrdiff_t stride;
};

template <class D, class I>
using WideDualSteps = void (*)(const D* data, const I* index, const I* start, const std::int64_t* order,
                               std::ptrdiff_t count, const WideDual& dual, void* memory);
template <class T>
using WideAlpha = void (*)(const std::uint16_t* codes, std::ptrdiff_t stride, std::ptrdiff_t rows, const float* shift,
                           const Slabs<T>& Z, double* divergence, double* mass, double* total, bool known);

// Products of CSR rows with the weights of many classes, for indices of type I
template <class I>
struct SlabsOf {
    SlabTimes<float, float, I> single;
    SlabTimes<double, double, I> twofold;
    SlabTimes<double, float, I> mixed;
    WideDualSteps<float, I> single_dual;
    WideDualSteps<double, I> twofold_dual;
};

template <class T>
using ChunkExp = void (*)(T* Z, std::ptrdiff_t k, std::ptrdiff_t b, const T* bias, const std::int64_t* codes, T* top,
                          T* sum, T* label);
template <class T>
using ChunkResidual = void (*)(T* Z, std::ptrdiff_t k, std::ptrdiff_t b, const T* factor, const T* weight,
                               const std::int64_t* codes, double* mass, double* square);
template <class T>
using PairProduct = void (*)(const T* X, std::ptrdiff_t d, const T* from, std::ptrdiff_t k, const std::int32_t* row,
                             const std::int64_t* start, T* out);

struct SlabKernels {
    SlabsOf<std::int32_t> of_int32;
    SlabsOf<std::int64_t> of_int64;
    SlabSoftmax<float> softmax_of_float;
    SlabSoftmax<double> softmax_of_double;
    WideAlpha<float> alpha_of_float;
    WideAlpha<double> alpha_of_double;
    ChunkExp<float> exp_of_float;
    ChunkExp<double> exp_of_double;
    ChunkResidual<float> residual_of_float;
    ChunkResidual<double> residual_of_double;
    PairProduct<float> dots_of_float, sums_of_float;
    PairProduct<double> dots_of_double, sums_of_double;
};

// Weights (count,) of a quadratic model with coefficients of |x| and bounds; x is changed.
struct Weights {
    double* x;
    const double *kink, *low, *high;
    std::ptrdiff_t count;
};

// A Hessian as a sum over n rows. O (q, n) is the change of the logits since `start`, s (n,) its mean under P, and C (q, n)
// holds P times the weights of the rows; without s and P the classes are not coupled, and C holds their curvature.
struct RowHessian {
    const float *Z, *P, *C;  // (k, n), (q, n), (q, n)
    float *O, *s;
    const std::int64_t *group, *column;                      // class and column of each weight
    const double *gradient, *start, *ridge, *curvature;      // gradient at `start`; l2 part; diagonal of the whole Hessian
    std::ptrdiff_t n;
};

// Columns (k,) as stored numbers of type D, column by column: those of column j, first[j] ... first[j + 1], are at the rows
// `index` and multiplied by `inverse`, and `zero` is added in all rows.
template <class D>
struct SparseColumns {
    const D* data;
    const std::int32_t* index;
    const std::int64_t* first;
    const double *inverse, *zero;
    std::ptrdiff_t count;

    double stored(std::ptrdiff_t j) const { return static_cast<double>(first[j + 1] - first[j]); }
};

// How closely a model is minimised: rounds of sweeps and a Newton step, sweeps before each, steps of conjugate gradients,
// and the relative move and residual at which sweeps and these steps end
struct Effort {
    int most_rounds, sweeps, most_steps;
    double tolerance, residual;
};

// A quadratic model of cross-entropy in single weights of sparse columns. P, C: as in RowHessian. `whole` (whole_count, q)
// has the weights of the columns in which a shift common to all classes is free.
template <class D>
struct SparseModelTask {
    SparseColumns<D> columns;
    const double *P, *C;
    const std::int64_t *group, *column, *whole;
    const double *gradient, *ridge;
    std::ptrdiff_t n, q, whole_count;
    Effort effort;
};

// A softmax regression with an l1 part on sparse columns, the last one for the bias: n rows padded to whole vectors by
// weights of 0, labels, weights that sum to 1, l2 and l1 coefficients of each column, and the parameters x (groups, k) to
// begin with, which are replaced; of two classes, groups = 1 and x is the difference. The steps end at a duality gap within the
// tolerance, or after a step whose estimated gap was below the goal. `told` (3, most_steps + 1): objective,
// estimated gap and stored numbers read before each step. At most `first_weights` weights enter at once, or as many as
// there are.
template <class D>
struct SparseFitTask {
    SparseColumns<D> columns;
    const std::int64_t* codes;
    const double *weights, *ridge, *kink;
    double *x, *told;
    double goal, tolerance;
    std::ptrdiff_t n, groups, first_weights;
    int most_steps;
    Effort effort;
};

template <class D>
struct SparseKernels {
    double (*minimise)(const SparseModelTask<D>& task, const Weights& weights);
    int (*fit)(const SparseFitTask<D>& task);
};

struct Sweeps {
    double (*matrix)(const double* H, double* gradient, const Weights& weights);
    double (*rows)(const RowHessian& H, const Weights& weights);
};

// A small softmax regression: columns Z (k, n) with rows padded to whole vectors by weights of 0, labels, weights that
// sum to 1, the ridge of each column, and the parameters (q, k) to begin with, which are replaced. `values`, `gaps` and
// `products` have a number for each step and one more: objective, estimated gap and Hessian products before it. At the
// end the bias is balanced if `balanced`; `gradient` (q, k) and `loss` are those of the loss alone at the parameters returned, and
// `logits` (q, n) those there.
struct NewtonTask {
    const double* Z;
    const std::int64_t* codes;
    const double *weights, *ridge, *kink;  // kink (k,): coefficients of |theta|, or null
    double* theta;
    double *values, *gaps, *products;
    double goal;
    std::ptrdiff_t n, k, q;
    int most_steps;
    bool exact, balanced;  // two classes: an exact Hessian in every step
    double *gradient, *loss, *logits;  // logits may be null
};

struct DenseKernels {
    Dense<float> of_float;
    Dense<double> of_double;
    Sweeps sweeps;
    int (*small_newton)(const NewtonTask& task);
};

template <class I>
struct CsrOf {
    Csr<float, float, I> single;
    Csr<double, double, I> twofold;
    Csr<double, float, I> mixed;
    CsrDual<float, I> single_dual;
    CsrDual<double, I> twofold_dual;
};

struct CsrKernels {
    CsrOf<std::int32_t> of_int32;
    CsrOf<std::int64_t> of_int64;
    SparseKernels<float> sparse_of_float;
    SparseKernels<double> sparse_of_double;
};

extern const DenseKernels baseline_dense;
extern const CsrKernels baseline_csr;
extern const SlabKernels baseline_slabs;
#if defined(__x86_64__)
extern const DenseKernels avx2_dense, avx512_dense;
extern const CsrKernels avx2_csr;
extern const SlabKernels avx2_slabs, avx512_slabs;
#endif
