// The kernels for dense rows as Python functions.
#include <cstdlib>
#include <memory>
#include <new>
#include <optional>

#include <nanobind/stl/optional.h>

#include "bindings.hpp"

namespace {

template <class T>
const Dense<T>& dense();
template <>
const Dense<float>& dense<float>() { return level.dense->of_float; }
template <>
const Dense<double>& dense<double>() { return level.dense->of_double; }

struct Free {
    void operator()(void* memory) const { std::free(memory); }
};

std::unique_ptr<void, Free> aligned_memory(std::size_t bytes) {
    std::unique_ptr<void, Free> memory(std::aligned_alloc(64, (bytes + 127) / 64 * 64));
    if (!memory) throw std::bad_alloc();
    return memory;
}

std::ptrdiff_t size(std::size_t n) { return static_cast<std::ptrdiff_t>(n); }

// Panels of k, k - 16, ... rows of 16 numbers
std::ptrdiff_t packed_triangle(std::ptrdiff_t k) {
    std::ptrdiff_t numbers = 0;
    for (; k > 0; k -= 16) numbers += 16 * k;
    return numbers;
}

template <class T>
void times(Matrix<const T> W, Matrix<const T> X, Matrix<T> out) {
    const auto b = X.shape(0), d = X.shape(1), k = W.shape(0);
    require(W.shape(1) == d && out.shape(0) == k && out.shape(1) == b);
    const auto memory = aligned_memory(dense<T>().product_bytes(size(d), size(k)));
    nb::gil_scoped_release released;
    dense<T>().times(X.data(), W.data(), out.data(), size(b), size(d), size(k), memory.get());
}

template <class T>
void transposed_times(Matrix<const T> R, Matrix<const T> X, Matrix<T> G) {
    const auto b = X.shape(0), d = X.shape(1), k = R.shape(0);
    require(R.shape(1) == b && G.shape(0) == k && G.shape(1) == d);
    const auto memory = aligned_memory(dense<T>().product_bytes(size(d), size(k)));
    nb::gil_scoped_release released;
    dense<T>().transposed_times(X.data(), R.data(), G.data(), size(b), size(d), size(k), memory.get());
}

template <class T>
bool scores(Matrix<const T> W, Numbers<const double> bias, Matrix<const T> X, Matrix<double> out, bool probabilities) {
    const auto b = X.shape(0), d = X.shape(1), k = W.shape(0);
    require(k > 0 && W.shape(1) == d && bias.shape(0) == k && out.shape(0) == b && out.shape(1) == k);
    const auto memory = aligned_memory(dense<T>().scores_bytes(size(d), size(k)));
    const Scores<T> task{X.data(), W.data(), bias.data(), out.data(), size(b), size(d), size(k), probabilities,
                         memory.get()};
    nb::gil_scoped_release released;
    return dense<T>().scores(task);
}

template <class T>
void loss_and_gradient(Matrix<const T> W, Numbers<const T> bias, Matrix<const T> X,
                       std::optional<Numbers<const std::int64_t>> codes, std::optional<Matrix<const T>> Y,
                       std::optional<Matrix<const double>> V, std::optional<Matrix<T>> logits, Numbers<double> loss,
                       Numbers<double> residual, Matrix<T> G) {
    const auto b = X.shape(0), d = X.shape(1), k = W.shape(0), m = loss.shape(0);
    require(m > 0 && k > 0 && k % m == 0 && W.shape(1) == d && bias.shape(0) == k && residual.shape(0) == k);
    require(G.shape(0) == k && G.shape(1) == d);
    require(codes ? !Y && codes->shape(0) == b : Y && Y->shape(0) == b && Y->shape(1) == k / m);
    require(!V || (V->shape(1) == b && (V->shape(0) == m || V->shape(0) == 1)));
    require(!logits || (logits->shape(0) == k && logits->shape(1) == b));
    const auto memory = aligned_memory(dense<T>().pass_bytes(size(d), size(k)));
    const Pass<T> pass{X.data(), W.data(), bias.data(), codes ? codes->data() : nullptr, Y ? Y->data() : nullptr,
                       V ? V->data() : nullptr, V && V->shape(0) > 1, logits ? logits->data() : nullptr, loss.data(),
                       residual.data(), G.data(), size(b), size(d), size(m), size(k / m), memory.get()};
    nb::gil_scoped_release released;
    dense<T>().loss_and_gradient(pass);
}

template <class T>
void extremes(Matrix<const T> X, Numbers<T> low, Numbers<T> high) {
    const auto b = X.shape(0), d = X.shape(1);
    require(b > 0 && low.shape(0) == d && high.shape(0) == d);
    nb::gil_scoped_release released;
    dense<T>().extremes(X.data(), low.data(), high.data(), b, d);
}

template <class T>
void moments(Matrix<const T> X, Numbers<const double> shift, Numbers<const double> scale, Numbers<double> first,
             Numbers<double> second) {
    const auto b = X.shape(0), d = X.shape(1);
    require(shift.shape(0) == d && scale.shape(0) == d && first.shape(0) == d && second.shape(0) == d);
    nb::gil_scoped_release released;
    dense<T>().moments(X.data(), shift.data(), scale.data(), first.data(), second.data(), b, d);
}

// L.T (k, k) in C order, and as many numbers as its panels of 16 columns have
template <class T>
void pack_triangle(Matrix<const T> L, Numbers<T> packed) {
    require(L.shape(0) == L.shape(1) && size(packed.shape(0)) == packed_triangle(size(L.shape(0))));
    nb::gil_scoped_release released;
    dense<T>().pack_triangle(L.data(), packed.data(), size(L.shape(0)));
}

template <class T>
void solve_triangle(Numbers<const T> packed, Matrix<T> B) {
    const auto r = B.shape(0), k = B.shape(1);
    require(size(packed.shape(0)) == packed_triangle(size(k)));
    const auto memory = aligned_memory(dense<T>().solve_bytes(size(k), size(r)));
    nb::gil_scoped_release released;
    dense<T>().solve_triangle(packed.data(), B.data(), size(k), size(r), memory.get());
}

using Reals = Numbers<const double>;
using Indices = Numbers<const std::int64_t>;

Weights weights(Numbers<double>& x, const Reals& kink, const Reals& low, const Reals& high) {
    const auto f = x.shape(0);
    require(kink.shape(0) == f && low.shape(0) == f && high.shape(0) == f);
    return {x.data(), kink.data(), low.data(), high.data(), size(f)};
}

double sweep_matrix(Matrix<const double> H, Numbers<double> gradient, Numbers<double> x, Reals kink, Reals low, Reals high) {
    const Weights of = weights(x, kink, low, high);
    require(H.shape(0) == x.shape(0) && H.shape(1) == x.shape(0) && gradient.shape(0) == x.shape(0));
    nb::gil_scoped_release released;
    return level.dense->sweeps.matrix(H.data(), gradient.data(), of);
}

double sweep_rows(Matrix<const float> Z, std::optional<Matrix<const float>> P, Matrix<const float> C, Matrix<float> O,
                  std::optional<Numbers<float>> s, Indices group, Indices column, Reals gradient, Reals start, Reals ridge,
                  Reals curvature, Numbers<double> x, Reals kink, Reals low, Reals high) {
    const Weights of = weights(x, kink, low, high);
    const auto f = x.shape(0), n = Z.shape(1), q = O.shape(0);
    require(O.shape(1) == n && C.shape(0) == q && C.shape(1) == n && P.has_value() == s.has_value());
    require(!P || (P->shape(0) == q && P->shape(1) == n && s->shape(0) == n));
    require(group.shape(0) == f && column.shape(0) == f && gradient.shape(0) == f && start.shape(0) == f);
    require(ridge.shape(0) == f && curvature.shape(0) == f);
    for (std::size_t i = 0; i < f; ++i) {
        require(group.data()[i] >= 0 && group.data()[i] < size(q));
        require(column.data()[i] >= 0 && column.data()[i] < size(Z.shape(0)));
    }
    const RowHessian H{Z.data(), P ? P->data() : nullptr, C.data(), O.data(), s ? s->data() : nullptr, group.data(),
                       column.data(), gradient.data(), start.data(), ridge.data(), curvature.data(), size(n)};
    nb::gil_scoped_release released;
    return level.dense->sweeps.rows(H, of);
}

int small_newton(Matrix<const double> Z, Numbers<const std::int64_t> codes, Numbers<const double> weights,
                 Numbers<const double> ridge, std::optional<Numbers<const double>> kink, Matrix<double> theta,
                 Matrix<double> history, double goal, bool exact, bool balanced, Matrix<double> gradient,
                 Numbers<double> loss, std::optional<Matrix<double>> logits) {
    const auto k = Z.shape(0), n = Z.shape(1), q = theta.shape(0), steps = history.shape(1);
    require(n % 8 == 0 && codes.shape(0) == n && weights.shape(0) == n && ridge.shape(0) == k && theta.shape(1) == k &&
            q > 1 && history.shape(0) == 3 && steps > 0 && (!kink || kink->shape(0) == k));
    require((!exact || (q == 2 && !kink)) && gradient.shape(0) == q && gradient.shape(1) == k && loss.shape(0) == 1 &&
            (!logits || (logits->shape(0) == q && logits->shape(1) == n && !exact)));
    for (std::size_t i = 0; i < n; ++i) require(codes.data()[i] >= 0 && size(codes.data()[i]) < size(q));
    double* const told = history.data();
    nb::gil_scoped_release released;
    return level.dense->small_newton({Z.data(), codes.data(), weights.data(), ridge.data(), kink ? kink->data() : nullptr,
                                      theta.data(), told, told + steps, told + 2 * steps, goal, size(n), size(k), size(q),
                                      static_cast<int>(steps) - 1, exact, balanced, gradient.data(), loss.data(),
                                      logits ? logits->data() : nullptr});
}

// out (d + 1, n): standardised columns of rows from `first` on, and the bias column
template <class T>
void standard_columns(Matrix<const T> X, Numbers<const double> shift, Numbers<const double> scale, double bias,
                      std::ptrdiff_t first, Matrix<double> out) {
    const auto b = size(X.shape(0)), d = size(X.shape(1)), n = size(out.shape(1));
    require(size(shift.shape(0)) == d && size(scale.shape(0)) == d && size(out.shape(0)) == d + 1 && first >= 0 &&
            first + b <= n);
    const T* x = X.data();
    const double *s = shift.data(), *c = scale.data();
    double* to = out.data() + first;
    constexpr std::ptrdiff_t some = 16;  // rows whose numbers stay in the cache
    nb::gil_scoped_release released;
    for (std::ptrdiff_t i = 0; i < b; i += some) {
        const std::ptrdiff_t stop = i + some < b ? i + some : b;
        for (std::ptrdiff_t j = 0; j < d; ++j)
            for (std::ptrdiff_t r = i; r < stop; ++r) to[j * n + r] = (static_cast<double>(x[r * d + j]) - s[j]) / c[j];
        for (std::ptrdiff_t r = i; r < stop; ++r) to[d * n + r] = bias;
    }
}

template <class T>
void add_kernels(nb::module_& m) {
    m.def("standard_columns", &standard_columns<T>, nb::arg("X").noconvert(), nb::arg("shift").noconvert(),
          nb::arg("scale").noconvert(), nb::arg("bias"), nb::arg("first"), nb::arg("out").noconvert());
    m.def("times", &times<T>, nb::arg("W").noconvert(), nb::arg("X").noconvert(), nb::arg("out").noconvert());
    m.def("transposed_times", &transposed_times<T>, nb::arg("R").noconvert(), nb::arg("X").noconvert(),
          nb::arg("out").noconvert());
    m.def("loss_and_gradient", &loss_and_gradient<T>, nb::arg("W").noconvert(), nb::arg("bias").noconvert(),
          nb::arg("X").noconvert(), nb::arg("codes").noconvert().none(), nb::arg("Y").noconvert().none(),
          nb::arg("V").noconvert().none(), nb::arg("logits").noconvert().none(), nb::arg("loss").noconvert(),
          nb::arg("residual").noconvert(), nb::arg("G").noconvert());
    m.def("scores", &scores<T>, nb::arg("W").noconvert(), nb::arg("bias").noconvert(), nb::arg("X").noconvert(),
          nb::arg("out").noconvert(), nb::arg("probabilities"));
    m.def("extremes", &extremes<T>, nb::arg("X").noconvert(), nb::arg("low").noconvert(), nb::arg("high").noconvert());
    m.def("moments", &moments<T>, nb::arg("X").noconvert(), nb::arg("shift").noconvert(), nb::arg("scale").noconvert(),
          nb::arg("first").noconvert(), nb::arg("second").noconvert());
    m.def("pack_triangle", &pack_triangle<T>, nb::arg("L").noconvert(), nb::arg("packed").noconvert());
    m.def("solve_triangle", &solve_triangle<T>, nb::arg("packed").noconvert(), nb::arg("B").noconvert());
}

}  // namespace

void add_dense(nb::module_& m) {
    m.def("packed_triangle", &packed_triangle, nb::arg("k"), "Numbers in the panels of a triangle (k, k).");
    m.def("sweep_matrix", &sweep_matrix, nb::arg("H").noconvert(), nb::arg("gradient").noconvert(),
          nb::arg("x").noconvert(), nb::arg("kink").noconvert(), nb::arg("low").noconvert(), nb::arg("high").noconvert());
    m.def("sweep_rows", &sweep_rows, nb::arg("Z").noconvert(), nb::arg("P").noconvert().none(), nb::arg("C").noconvert(),
          nb::arg("O").noconvert(), nb::arg("s").noconvert().none(), nb::arg("group").noconvert(),
          nb::arg("column").noconvert(), nb::arg("gradient").noconvert(), nb::arg("start").noconvert(),
          nb::arg("ridge").noconvert(), nb::arg("curvature").noconvert(), nb::arg("x").noconvert(),
          nb::arg("kink").noconvert(), nb::arg("low").noconvert(), nb::arg("high").noconvert());
    m.def("small_newton", &small_newton, nb::arg("Z").noconvert(), nb::arg("codes").noconvert(),
          nb::arg("weights").noconvert(), nb::arg("ridge").noconvert(), nb::arg("kink").noconvert().none(),
          nb::arg("theta").noconvert(), nb::arg("history").noconvert(), nb::arg("goal"), nb::arg("exact"),
          nb::arg("balanced"), nb::arg("gradient").noconvert(), nb::arg("loss").noconvert(),
          nb::arg("logits").noconvert().none());
    add_kernels<float>(m);
    add_kernels<double>(m);
}
