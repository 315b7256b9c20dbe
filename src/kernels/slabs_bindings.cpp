// The kernels for many classes as Python functions.
#include <vector>

#include "bindings.hpp"

namespace {

template <class T>
using Strided = nb::ndarray<T, nb::ndim<3>, nb::device::cpu>;

template <class D, class T, class I>
SlabTimes<D, T, I> times() {
    const auto& of = []() -> const SlabsOf<I>& {
        if constexpr (sizeof(I) == 4) return level.slabs->of_int32;
        else return level.slabs->of_int64;
    }();
    if constexpr (sizeof(D) == 4) return of.single;
    else if constexpr (sizeof(T) == 8) return of.twofold;
    else return of.mixed;
}

// Column indices must be valid. Row i is written to row first + i of each slab of `out`, or to row target[i].
template <class D, class T, class I>
void slab_times(Numbers<const D> data, Numbers<const I> index, Numbers<const I> start,
                Numbers<const std::int64_t> target, Strided<const T> W, Matrix<const T> bias, Strided<T> out,
                std::size_t first, bool add) {
    require(start.shape(0) > 0);
    const auto rows = start.shape(0) - 1, slabs = W.shape(0), out_rows = out.shape(1);
    const I* s = start.data();
    require(s[0] >= 0 && static_cast<std::size_t>(s[rows]) <= data.shape(0) && index.shape(0) == data.shape(0));
    require(W.shape(2) == slab && out.shape(0) == slabs && out.shape(2) == slab);
    require(W.stride(2) == 1 && out.stride(2) == 1);
    require(!bias.is_valid() || (bias.shape(0) == slabs && bias.shape(1) == slab));
    if (target.is_valid()) {
        require(target.shape(0) == rows && first == 0);
        for (std::size_t i = 0; i < rows; ++i)
            require(0 <= target(i) && static_cast<std::size_t>(target(i)) < out_rows);
    } else {
        require(first + rows <= out_rows);
    }
    nb::gil_scoped_release released;
    times<D, T, I>()(data.data(), index.data(), s, target.is_valid() ? target.data() : nullptr,
                     static_cast<std::ptrdiff_t>(rows), {W.data(), static_cast<std::ptrdiff_t>(slabs), W.stride(0), W.stride(1)},
                     bias.is_valid() ? bias.data() : nullptr, add,
                     {out.data() + static_cast<std::ptrdiff_t>(first) * out.stride(1), static_cast<std::ptrdiff_t>(slabs),
                      out.stride(0), out.stride(1)});
}

// Rows first .. first + len(loss) - 1 of the logits become weight (P - Y); codes and weights may be None.
template <class T>
void slab_softmax(Cube<T> Z, std::size_t first, std::size_t q, Numbers<const std::int64_t> codes,
                  Numbers<const double> weights, Numbers<double> loss, Numbers<double> p_label) {
    const auto rows = loss.shape(0), slabs = Z.shape(0), out_rows = Z.shape(1);
    require(Z.shape(2) == slab && first + rows <= out_rows && 0 < q && q <= slabs * slab);
    require(p_label.shape(0) == rows && (!weights.is_valid() || weights.shape(0) == rows));
    if (codes.is_valid()) {
        require(codes.shape(0) == rows);
        for (std::size_t i = 0; i < rows; ++i) require(0 <= codes(i) && static_cast<std::size_t>(codes(i)) < q);
    }
    SlabSoftmax<T> softmax;
    if constexpr (sizeof(T) == 4) softmax = level.slabs->softmax_of_float;
    else softmax = level.slabs->softmax_of_double;
    nb::gil_scoped_release released;
    softmax(Z.data() + first * slab, static_cast<std::ptrdiff_t>(slabs), static_cast<std::ptrdiff_t>(out_rows),
            static_cast<std::ptrdiff_t>(rows), static_cast<std::ptrdiff_t>(q),
            codes.is_valid() ? codes.data() : nullptr, weights.is_valid() ? weights.data() : nullptr, loss.data(),
            p_label.data());
}

// Updates of the rows in `order`, one after another. Row indices are checked here; column indices must be valid.
template <class D, class I>
void wide_dual_steps(Numbers<const D> data, Numbers<const I> index, Numbers<const I> start,
                     Numbers<const std::int64_t> order, Matrix<float> W, Numbers<const float> bias, Numbers<float> pull,
                     Matrix<std::uint16_t> codes, Numbers<const float> curvature, Numbers<const float> weights,
                     Numbers<float> divergence, float reach, float rate) {
    require(start.shape(0) > 0);
    const auto n = start.shape(0) - 1, width = W.shape(1);
    const I* s = start.data();
    require(s[0] >= 0 && static_cast<std::size_t>(s[n]) <= data.shape(0) && index.shape(0) == data.shape(0));
    require(width > 0 && width % slab == 0 && bias.shape(0) == width && pull.shape(0) == width);
    require(codes.shape(0) == n && codes.shape(1) == width && curvature.shape(0) == n && divergence.shape(0) == n);
    require(!weights.is_valid() || weights.shape(0) == n);
    for (std::size_t t = 0; t < order.shape(0); ++t)
        require(0 <= order(t) && static_cast<std::size_t>(order(t)) < n);
    const WideDual dual{W.data(), bias.data(), pull.data(), codes.data(), curvature.data(),
                        weights.is_valid() ? weights.data() : nullptr, divergence.data(), reach, rate,
                        static_cast<std::ptrdiff_t>(width)};
    WideDualSteps<D, I> steps;
    if constexpr (sizeof(I) == 4 && sizeof(D) == 4) steps = level.slabs->of_int32.single_dual;
    else if constexpr (sizeof(I) == 4) steps = level.slabs->of_int32.twofold_dual;
    else if constexpr (sizeof(D) == 4) steps = level.slabs->of_int64.single_dual;
    else steps = level.slabs->of_int64.twofold_dual;
    nb::gil_scoped_release released;
    std::vector<char> room(5 * width * sizeof(float) + 64);
    void* memory = room.data() + (64 - reinterpret_cast<std::uintptr_t>(room.data()) % 64) % 64;
    steps(data.data(), index.data(), s, order.data(), static_cast<std::ptrdiff_t>(order.shape(0)), dual, memory);
}

// Rows of `codes`, times exp(shift) and divided by their sums, go to rows first .. of Z. With `divergence`, Z has logits;
// with `known`, the sums come from `total` and the classes are those of Z alone.
template <class T>
void wide_alpha(nb::ndarray<const std::uint16_t, nb::ndim<2>, nb::device::cpu> codes, Numbers<const float> shift,
                Cube<T> Z, std::size_t first, Numbers<double> divergence, Numbers<double> mass, Numbers<double> total,
                bool known) {
    const auto rows = codes.shape(0), slabs = Z.shape(0), out_rows = Z.shape(1);
    require(Z.shape(2) == slab && first + rows <= out_rows && codes.shape(1) == slabs * slab);
    require(codes.stride(1) == 1 && total.shape(0) == rows && !(known && divergence.is_valid()));
    require(!shift.is_valid() || shift.shape(0) == codes.shape(1));
    require(divergence.is_valid() == mass.is_valid());
    require(!mass.is_valid() || (divergence.shape(0) == rows && mass.shape(0) == rows));
    WideAlpha<T> alpha;
    if constexpr (sizeof(T) == 4) alpha = level.slabs->alpha_of_float;
    else alpha = level.slabs->alpha_of_double;
    nb::gil_scoped_release released;
    alpha(codes.data(), codes.stride(0), static_cast<std::ptrdiff_t>(rows), shift.is_valid() ? shift.data() : nullptr,
          {Z.data() + first * slab, static_cast<std::ptrdiff_t>(slabs), static_cast<std::ptrdiff_t>(out_rows * slab), slab},
          divergence.is_valid() ? divergence.data() : nullptr, mass.is_valid() ? mass.data() : nullptr, total.data(),
          known);
}

template <class T>
void chunk_exp(Matrix<T> Z, Numbers<const T> bias, Numbers<const std::int64_t> codes, Numbers<T> top, Numbers<T> sum,
               Numbers<T> label) {
    const auto k = Z.shape(0), b = Z.shape(1);
    require(k > 0 && bias.shape(0) == k && codes.shape(0) == b && top.shape(0) == b && sum.shape(0) == b);
    require(label.shape(0) == b);
    ChunkExp<T> work;
    if constexpr (sizeof(T) == 4) work = level.slabs->exp_of_float;
    else work = level.slabs->exp_of_double;
    nb::gil_scoped_release released;
    work(Z.data(), static_cast<std::ptrdiff_t>(k), static_cast<std::ptrdiff_t>(b), bias.data(), codes.data(),
         top.data(), sum.data(), label.data());
}

template <class T>
void chunk_residual(Matrix<T> Z, Numbers<const T> factor, Numbers<const T> weight, Numbers<const std::int64_t> codes,
                    Numbers<double> mass, Numbers<double> square) {
    const auto k = Z.shape(0), b = Z.shape(1);
    require(factor.shape(0) == b && codes.shape(0) == b && mass.shape(0) == k && square.shape(0) == k);
    require(!weight.is_valid() || weight.shape(0) == b);
    ChunkResidual<T> work;
    if constexpr (sizeof(T) == 4) work = level.slabs->residual_of_float;
    else work = level.slabs->residual_of_double;
    nb::gil_scoped_release released;
    work(Z.data(), static_cast<std::ptrdiff_t>(k), static_cast<std::ptrdiff_t>(b), factor.data(),
         weight.is_valid() ? weight.data() : nullptr, codes.data(), mass.data(), square.data());
}

// Requires that the pairs lie in arrays of this length and that their rows are rows of X.
template <class T>
void check_pairs(Matrix<const T> X, std::size_t k, Numbers<const std::int32_t> row, Numbers<const std::int64_t> start,
                 std::size_t length) {
    require(start.shape(0) == k + 1 && start(0) >= 0);
    for (std::size_t c = 0; c < k; ++c) require(start(c) <= start(c + 1));
    const auto first = static_cast<std::size_t>(start(0)), last = static_cast<std::size_t>(start(k));
    require(last <= row.shape(0) && last <= length);
    for (std::size_t p = first; p < last; ++p)
        require(0 <= row(p) && static_cast<std::size_t>(row(p)) < X.shape(0));
}

template <class T>
void pair_dots(Matrix<const T> X, Matrix<const T> V, Numbers<const std::int32_t> row, Numbers<const std::int64_t> start,
               Numbers<T> out) {
    require(X.shape(1) == V.shape(1));
    check_pairs<T>(X, V.shape(0), row, start, out.shape(0));
    PairProduct<T> work;
    if constexpr (sizeof(T) == 4) work = level.slabs->dots_of_float;
    else work = level.slabs->dots_of_double;
    nb::gil_scoped_release released;
    work(X.data(), static_cast<std::ptrdiff_t>(X.shape(1)), V.data(), static_cast<std::ptrdiff_t>(V.shape(0)),
         row.data(), start.data(), out.data());
}

template <class T>
void pair_sums(Matrix<const T> X, Numbers<const T> weight, Numbers<const std::int32_t> row,
               Numbers<const std::int64_t> start, Matrix<T> out) {
    require(X.shape(1) == out.shape(1));
    check_pairs<T>(X, out.shape(0), row, start, weight.shape(0));
    PairProduct<T> work;
    if constexpr (sizeof(T) == 4) work = level.slabs->sums_of_float;
    else work = level.slabs->sums_of_double;
    nb::gil_scoped_release released;
    work(X.data(), static_cast<std::ptrdiff_t>(X.shape(1)), weight.data(), static_cast<std::ptrdiff_t>(out.shape(0)),
         row.data(), start.data(), out.data());
}

template <class T>
void add_pairs(nb::module_& m) {
    m.def("pair_dots", &pair_dots<T>, nb::arg("X").noconvert(), nb::arg("V").noconvert(), nb::arg("row").noconvert(),
          nb::arg("start").noconvert(), nb::arg("out").noconvert());
    m.def("pair_sums", &pair_sums<T>, nb::arg("X").noconvert(), nb::arg("weight").noconvert(),
          nb::arg("row").noconvert(), nb::arg("start").noconvert(), nb::arg("out").noconvert());
}

template <class T>
void add_chunks(nb::module_& m) {
    m.def("chunk_exp", &chunk_exp<T>, nb::arg("Z").noconvert(), nb::arg("bias").noconvert(),
          nb::arg("codes").noconvert(), nb::arg("top").noconvert(), nb::arg("sum").noconvert(),
          nb::arg("label").noconvert());
    m.def("chunk_residual", &chunk_residual<T>, nb::arg("Z").noconvert(), nb::arg("factor").noconvert(),
          nb::arg("weight").noconvert().none(), nb::arg("codes").noconvert(), nb::arg("mass").noconvert(),
          nb::arg("square").noconvert());
}

template <class D, class I>
void add_wide_dual(nb::module_& m) {
    m.def("wide_dual_steps", &wide_dual_steps<D, I>, nb::arg("data").noconvert(), nb::arg("indices").noconvert(),
          nb::arg("indptr").noconvert(), nb::arg("order").noconvert(), nb::arg("W").noconvert(),
          nb::arg("bias").noconvert(), nb::arg("bias_weights").noconvert(), nb::arg("codes").noconvert(),
          nb::arg("curvature").noconvert(), nb::arg("weights").noconvert().none(), nb::arg("divergence").noconvert(),
          nb::arg("bias_scale"), nb::arg("rate"));
}

template <class T>
void add_wide_alpha(nb::module_& m) {
    m.def("wide_alpha", &wide_alpha<T>, nb::arg("codes").noconvert(), nb::arg("shift").noconvert().none(),
          nb::arg("Z").noconvert(), nb::arg("first"), nb::arg("divergence").noconvert().none(),
          nb::arg("mass").noconvert().none(), nb::arg("total").noconvert(), nb::arg("known"));
}

template <class D, class T, class I>
void add_times(nb::module_& m) {
    m.def("slab_times", &slab_times<D, T, I>, nb::arg("data").noconvert(), nb::arg("indices").noconvert(),
          nb::arg("indptr").noconvert(), nb::arg("target").noconvert().none(), nb::arg("W").noconvert(),
          nb::arg("bias").noconvert().none(), nb::arg("out").noconvert(), nb::arg("first"), nb::arg("add"));
}

template <class T>
void add_softmax(nb::module_& m) {
    m.def("slab_softmax", &slab_softmax<T>, nb::arg("Z").noconvert(), nb::arg("first"), nb::arg("q"),
          nb::arg("codes").noconvert().none(), nb::arg("weights").noconvert().none(), nb::arg("loss").noconvert(),
          nb::arg("p_label").noconvert());
}

}  // namespace

void add_slabs(nb::module_& m) {
    m.attr("SLAB") = static_cast<std::int64_t>(slab);
    add_times<float, float, std::int32_t>(m);
    add_times<double, double, std::int32_t>(m);
    add_times<double, float, std::int32_t>(m);
    add_times<float, float, std::int64_t>(m);
    add_times<double, double, std::int64_t>(m);
    add_times<double, float, std::int64_t>(m);
    add_softmax<float>(m);
    add_softmax<double>(m);
    add_wide_dual<float, std::int32_t>(m);
    add_wide_dual<double, std::int32_t>(m);
    add_wide_dual<float, std::int64_t>(m);
    add_wide_dual<double, std::int64_t>(m);
    add_wide_alpha<float>(m);
    add_wide_alpha<double>(m);
    add_chunks<float>(m);
    add_chunks<double>(m);
    add_pairs<float>(m);
    add_pairs<double>(m);
}
