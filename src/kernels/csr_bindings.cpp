// The kernels for CSR rows as Python functions.
#include <optional>
#include <tuple>

#include <nanobind/stl/optional.h>
#include <nanobind/stl/tuple.h>

#include "bindings.hpp"
#include "columns.hpp"

namespace {

template <class D, class T, class I>
const Csr<D, T, I>& csr() {
    const auto& of = []() -> const CsrOf<I>& {
        if constexpr (sizeof(I) == 4) return level.csr->of_int32;
        else return level.csr->of_int64;
    }();
    if constexpr (sizeof(D) == 4) return of.single;
    else if constexpr (sizeof(T) == 8) return of.twofold;
    else return of.mixed;
}

template <class D, class I>
const CsrDual<D, I>& csr_dual() {
    if constexpr (sizeof(I) == 4 && sizeof(D) == 4) return level.csr->of_int32.single_dual;
    else if constexpr (sizeof(I) == 4) return level.csr->of_int32.twofold_dual;
    else if constexpr (sizeof(D) == 4) return level.csr->of_int64.single_dual;
    else return level.csr->of_int64.twofold_dual;
}

template <class D, class I>
void check_csr(const Numbers<const D>& data, const Numbers<const I>& index, const Numbers<const I>& start,
               std::size_t b) {
    require(start.shape(0) == b + 1 && index.shape(0) == data.shape(0));
    const I* s = start.data();
    require(s[0] >= 0 && static_cast<std::size_t>(s[b]) <= data.shape(0));
}

template <class D, class T, class I>
void csr_times(Numbers<const D> data, Numbers<const I> index, Numbers<const I> start, Matrix<const T> W,
               Matrix<T> out) {
    const auto b = out.shape(1), k = W.shape(1);
    check_csr(data, index, start, b);
    require(out.shape(0) == k);
    nb::gil_scoped_release released;
    csr<D, T, I>().times(data.data(), index.data(), start.data(), W.data(), out.data(), b, k);
}

template <class D, class T, class I>
void csr_transposed_times(Numbers<const D> data, Numbers<const I> index, Numbers<const I> start, Matrix<const T> R,
                          Matrix<T> G) {
    const auto b = R.shape(1), k = R.shape(0);
    check_csr(data, index, start, b);
    require(G.shape(1) == k);
    nb::gil_scoped_release released;
    csr<D, T, I>().transposed_times(data.data(), index.data(), start.data(), R.data(), G.data(), b, k);
}

// Labels are codes or probabilities, and the other argument is None; weights and logits may be None.
template <class D, class T, class I>
void csr_loss_and_gradient(Numbers<const D> data, Numbers<const I> index, Numbers<const I> start, Matrix<const T> W,
                           Numbers<const T> bias, Numbers<const std::int64_t> codes, Matrix<const T> shares,
                           Matrix<const double> weights, Matrix<T> logits, Numbers<double> loss, Numbers<double> sums,
                           Matrix<T> G) {
    const auto b = start.shape(0) - 1, k = W.shape(1), m = loss.shape(0);
    require(m > 0 && k % m == 0 && k >= m);
    const auto q = k / m;
    check_csr(data, index, start, b);
    require(bias.shape(0) == k && sums.shape(0) == k && G.shape(0) == W.shape(0) && G.shape(1) == k);
    require(codes.is_valid() != shares.is_valid());
    if (codes.is_valid()) {
        require(codes.shape(0) == b);
        for (std::size_t i = 0; i < b; ++i) require(0 <= codes(i) && static_cast<std::size_t>(codes(i)) < q);
    } else {
        require(shares.shape(0) == b && shares.shape(1) == q);
    }
    const bool weighted = weights.is_valid(), many = weighted && weights.shape(0) > 1;
    require(!weighted || (weights.shape(1) == b && (weights.shape(0) == 1 || weights.shape(0) == m)));
    require(!logits.is_valid() || (logits.shape(0) == k && logits.shape(1) == b));
    const Truth<T> truth{codes.is_valid() ? codes.data() : nullptr, shares.is_valid() ? shares.data() : nullptr,
                         weighted ? weights.data() : nullptr, many};
    T* kept = logits.is_valid() ? logits.data() : nullptr;
    nb::gil_scoped_release released;
    csr<D, T, I>().loss_and_gradient(data.data(), index.data(), start.data(), W.data(), bias.data(), truth, b, k, q,
                                     kept, loss.data(), sums.data(), G.data());
}

// Updates of the rows in `order`, one after another. Row indices are checked here; column indices must be valid.
template <class D, class I>
void csr_dual_steps(Numbers<const D> data, Numbers<const I> index, Numbers<const I> start,
                    Numbers<const std::int64_t> order, Matrix<float> W, Numbers<const float> bias, Numbers<float> pull,
                    Matrix<float> log_alpha, Numbers<const float> curvature, Numbers<const float> weights,
                    Numbers<float> divergence, float reach, float rate) {
    const auto n = start.shape(0) - 1, q = W.shape(1);
    check_csr(data, index, start, n);
    require(q > 0 && bias.shape(0) == q && pull.shape(0) == q && log_alpha.shape(0) == n && log_alpha.shape(1) == q);
    require(curvature.shape(0) == n && divergence.shape(0) == n && (!weights.is_valid() || weights.shape(0) == n));
    for (std::size_t t = 0; t < order.shape(0); ++t)
        require(0 <= order(t) && static_cast<std::size_t>(order(t)) < n);
    const Dual dual{W.data(), bias.data(), pull.data(), log_alpha.data(), curvature.data(),
                    weights.is_valid() ? weights.data() : nullptr, divergence.data(), reach, rate};
    nb::gil_scoped_release released;
    csr_dual<D, I>().steps(data.data(), index.data(), start.data(), order.data(), order.shape(0), dual, n, q);
}

template <class D, class I>
void csr_row_squares(Numbers<const D> data, Numbers<const I> start, Numbers<float> out) {
    const auto n = out.shape(0);
    require(start.shape(0) == n + 1 && start(0) >= 0 && static_cast<std::size_t>(start(n)) <= data.shape(0));
    nb::gil_scoped_release released;
    csr_dual<D, I>().row_squares(data.data(), start.data(), out.data(), n);
}

template <class D, class I, void (*Work)(const D*, const I*, std::ptrdiff_t, double*)>
void for_columns(Numbers<const D> data, Numbers<const I> index, Matrix<double> table) {
    require(data.shape(0) == index.shape(0));
    nb::gil_scoped_release released;
    Work(data.data(), index.data(), static_cast<std::ptrdiff_t>(index.shape(0)), table.data());
}

template <class I>
bool repeats(Numbers<const I> index, Numbers<const I> start, Numbers<I> seen) {
    const auto n = start.shape(0) - 1;
    require(start(0) >= 0 && static_cast<std::size_t>(start(n)) <= index.shape(0));
    nb::gil_scoped_release released;
    return csr_repeats(index.data(), start.data(), static_cast<std::ptrdiff_t>(n), seen.data());
}

using Reals = Numbers<const double>;
using Indices = Numbers<const std::int64_t>;

std::ptrdiff_t size(std::size_t count) { return static_cast<std::ptrdiff_t>(count); }

template <class D>
const SparseKernels<D>& sparse_kernels() {
    if constexpr (sizeof(D) == 4) return level.csr->sparse_of_float;
    else return level.csr->sparse_of_double;
}

template <class D>
SparseColumns<D> columns(const Numbers<const D>& data, const Numbers<const std::int32_t>& index, const Indices& first,
                         const Reals& inverse, const Reals& zero, std::size_t n) {
    const auto k = zero.shape(0);
    require(k > 0 && inverse.shape(0) == k && first.shape(0) == k + 1 && index.shape(0) == data.shape(0));
    require(first.data()[0] == 0 && first.data()[k] == size(data.shape(0)));
    for (std::size_t j = 0; j < k; ++j) require(first.data()[j] <= first.data()[j + 1]);
    for (std::size_t p = 0; p < index.shape(0); ++p) require(index.data()[p] >= 0 && index.data()[p] < size(n));
    return {data.data(), index.data(), first.data(), inverse.data(), zero.data(), size(k)};
}

using Efforts = std::tuple<int, int, int, double, double>;  // the fields of Effort

Effort effort_of(const Efforts& of) {
    return {std::get<0>(of), std::get<1>(of), std::get<2>(of), std::get<3>(of), std::get<4>(of)};
}

// Column and row indices are checked. Returns the stored numbers that were read.
template <class D>
double minimise_sparse(Numbers<const D> data, Numbers<const std::int32_t> index, Indices first, Reals inverse, Reals zero,
                       std::optional<Matrix<const double>> P, Matrix<const double> C, Indices group, Indices column,
                       Matrix<const std::int64_t> whole, Reals gradient, Reals ridge, Numbers<double> x, Reals kink, Reals low,
                       Reals high, Efforts effort) {
    const auto f = x.shape(0), q = C.shape(0), n = C.shape(1);
    const SparseColumns<D> of = columns<D>(data, index, first, inverse, zero, n);
    require(!P || (P->shape(0) == q && P->shape(1) == n));
    require(group.shape(0) == f && column.shape(0) == f && gradient.shape(0) == f && ridge.shape(0) == f);
    require(kink.shape(0) == f && low.shape(0) == f && high.shape(0) == f && (!whole.shape(0) || whole.shape(1) == q));
    for (std::size_t a = 0; a < f; ++a)
        require(group.data()[a] >= 0 && group.data()[a] < size(q) && column.data()[a] >= 0 && column.data()[a] < of.count);
    for (std::size_t a = 0; a < whole.size(); ++a) require(whole.data()[a] >= 0 && whole.data()[a] < size(f));
    const Weights weights{x.data(), kink.data(), low.data(), high.data(), size(f)};
    const SparseModelTask<D> task{of, P ? P->data() : nullptr, C.data(), group.data(), column.data(), whole.data(),
                                  gradient.data(), ridge.data(), size(n), size(q), size(whole.shape(0)), effort_of(effort)};
    nb::gil_scoped_release released;
    return sparse_kernels<D>().minimise(task, weights);
}

// Returns the steps, negative where they failed.
template <class D>
int sparse_fit(Numbers<const D> data, Numbers<const std::int32_t> index, Indices first, Reals inverse, Reals zero,
               Indices codes, Reals weights, Reals ridge, Reals kink, Matrix<double> x, Matrix<double> history, double goal, double tolerance,
               std::int64_t first_weights, Efforts effort) {
    const auto n = codes.shape(0), k = x.shape(1), groups = x.shape(0), steps = history.shape(1);
    const SparseColumns<D> of = columns<D>(data, index, first, inverse, zero, n);
    require(of.count == size(k) && n % 8 == 0 && weights.shape(0) == n && ridge.shape(0) == k && kink.shape(0) == k);
    require(groups > 0 && history.shape(0) == 3 && steps > 0 && first_weights > 0);
    const std::int64_t classes = size(groups == 1 ? 2 : groups);
    for (std::size_t i = 0; i < n; ++i) require(codes.data()[i] >= 0 && codes.data()[i] < classes);
    const SparseFitTask<D> task{of, codes.data(), weights.data(), ridge.data(), kink.data(), x.data(), history.data(), goal, tolerance,
                                size(n), size(groups), first_weights, static_cast<int>(steps) - 1, effort_of(effort)};
    nb::gil_scoped_release released;
    return sparse_kernels<D>().fit(task);
}

template <class D>
void add_sparse(nb::module_& m) {
    m.def("minimise_sparse", &minimise_sparse<D>, nb::arg("data").noconvert(), nb::arg("indices").noconvert(),
          nb::arg("indptr").noconvert(), nb::arg("inverse").noconvert(), nb::arg("zero").noconvert(),
          nb::arg("P").noconvert().none(), nb::arg("C").noconvert(), nb::arg("group").noconvert(),
          nb::arg("column").noconvert(), nb::arg("whole").noconvert(), nb::arg("gradient").noconvert(),
          nb::arg("ridge").noconvert(), nb::arg("x").noconvert(), nb::arg("kink").noconvert(), nb::arg("low").noconvert(),
          nb::arg("high").noconvert(), nb::arg("effort"));
    m.def("sparse_fit", &sparse_fit<D>, nb::arg("data").noconvert(), nb::arg("indices").noconvert(),
          nb::arg("indptr").noconvert(), nb::arg("inverse").noconvert(), nb::arg("zero").noconvert(),
          nb::arg("codes").noconvert(), nb::arg("weights").noconvert(), nb::arg("ridge").noconvert(),
          nb::arg("kink").noconvert(), nb::arg("x").noconvert(), nb::arg("history").noconvert(), nb::arg("goal"),
          nb::arg("tolerance"), nb::arg("first_weights"), nb::arg("effort"));
}

template <class D, class T, class I>
void add_products(nb::module_& m) {
    m.def("csr_times", &csr_times<D, T, I>, nb::arg("data").noconvert(), nb::arg("indices").noconvert(),
          nb::arg("indptr").noconvert(), nb::arg("W").noconvert(), nb::arg("out").noconvert());
    m.def("csr_transposed_times", &csr_transposed_times<D, T, I>, nb::arg("data").noconvert(),
          nb::arg("indices").noconvert(), nb::arg("indptr").noconvert(), nb::arg("R").noconvert(),
          nb::arg("out").noconvert());
    m.def("csr_loss_and_gradient", &csr_loss_and_gradient<D, T, I>, nb::arg("data").noconvert(),
          nb::arg("indices").noconvert(), nb::arg("indptr").noconvert(), nb::arg("W").noconvert(),
          nb::arg("bias").noconvert(), nb::arg("codes").noconvert().none(), nb::arg("shares").noconvert().none(),
          nb::arg("weights").noconvert().none(), nb::arg("logits").noconvert().none(), nb::arg("loss").noconvert(),
          nb::arg("sums").noconvert(), nb::arg("out").noconvert());
}

template <class D, class I>
void add_for_rows(nb::module_& m) {
    m.def("csr_dual_steps", &csr_dual_steps<D, I>, nb::arg("data").noconvert(), nb::arg("indices").noconvert(),
          nb::arg("indptr").noconvert(), nb::arg("order").noconvert(), nb::arg("W").noconvert(),
          nb::arg("bias").noconvert(), nb::arg("bias_weights").noconvert(), nb::arg("log_alpha").noconvert(),
          nb::arg("curvature").noconvert(), nb::arg("weights").noconvert().none(), nb::arg("divergence").noconvert(),
          nb::arg("bias_scale"), nb::arg("rate"));
    m.def("csr_extremes", &for_columns<D, I, csr_extremes<D, I>>, nb::arg("data").noconvert(),
          nb::arg("indices").noconvert(), nb::arg("table").noconvert());
    m.def("csr_moments", &for_columns<D, I, csr_moments<D, I>>, nb::arg("data").noconvert(),
          nb::arg("indices").noconvert(), nb::arg("table").noconvert());
    m.def("csr_row_squares", &csr_row_squares<D, I>, nb::arg("data").noconvert(), nb::arg("indptr").noconvert(),
          nb::arg("out").noconvert());
}

template <class I>
void add_with_indices(nb::module_& m) {
    add_for_rows<float, I>(m);
    add_for_rows<double, I>(m);
    m.def("csr_repeats", &repeats<I>, nb::arg("indices").noconvert(), nb::arg("indptr").noconvert(),
          nb::arg("seen").noconvert());
    add_products<float, float, I>(m);
    add_products<double, double, I>(m);
    add_products<double, float, I>(m);
}

}  // namespace

void add_csr(nb::module_& m) {
    add_sparse<float>(m);
    add_sparse<double>(m);
    add_with_indices<std::int32_t>(m);
    add_with_indices<std::int64_t>(m);
}
