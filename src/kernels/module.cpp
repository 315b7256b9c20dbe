// The kernels as a Python module. Arrays are taken as they are, never converted: what does not fit is a TypeError, and
// softreg/rows/kernels.py asks NumPy instead. The interpreter's lock is released while a kernel runs.
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <string>
#include <vector>

#include "bindings.hpp"

namespace {

// What this machine can run, the best last.
std::vector<Level> levels() {
    std::vector<Level> found{{"baseline", &baseline_dense, &baseline_csr}};
#if defined(__x86_64__)
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (avx2) found.push_back({"avx2", &avx2_dense, &avx2_csr});
    if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq"))
        found.push_back({"avx512", &avx512_dense, &avx2_csr});
#endif
    return found;
}

}  // namespace

Level level = levels().back();

namespace {

std::vector<std::string> names() {
    std::vector<std::string> all;
    for (const Level& one : levels()) all.emplace_back(one.name);
    return all;
}

void choose(const std::string& name) {
    for (const Level& one : levels())
        if (one.name == name) {
            level = one;
            return;
        }
    throw nb::value_error(("there are no kernels for the instruction set '" + name + "' on this machine").c_str());
}

template <class T, class I>
const Csr<T, I>& csr();
template <>
const Csr<float, std::int32_t>& csr() { return level.csr->of_float_int32; }
template <>
const Csr<float, std::int64_t>& csr() { return level.csr->of_float_int64; }
template <>
const Csr<double, std::int32_t>& csr() { return level.csr->of_double_int32; }
template <>
const Csr<double, std::int64_t>& csr() { return level.csr->of_double_int64; }

template <class T, class I>
void check_csr(const Numbers<const T>& data, const Numbers<const I>& index, const Numbers<const I>& start,
               std::size_t b) {
    require(start.shape(0) == b + 1 && index.shape(0) == data.shape(0));
    const I* s = start.data();
    require(s[0] >= 0 && static_cast<std::size_t>(s[b]) <= data.shape(0));
}

template <class T, class I>
void csr_times(Numbers<const T> data, Numbers<const I> index, Numbers<const I> start, Matrix<const T> W,
               Matrix<T> out) {
    const auto b = out.shape(1), k = W.shape(1);
    check_csr(data, index, start, b);
    require(out.shape(0) == k);
    nb::gil_scoped_release released;
    csr<T, I>().times(data.data(), index.data(), start.data(), W.data(), out.data(), b, k);
}

template <class T, class I>
void csr_transposed_times(Numbers<const T> data, Numbers<const I> index, Numbers<const I> start, Matrix<const T> R,
                          Matrix<T> G) {
    const auto b = R.shape(1), k = R.shape(0);
    check_csr(data, index, start, b);
    require(G.shape(1) == k);
    nb::gil_scoped_release released;
    csr<T, I>().transposed_times(data.data(), index.data(), start.data(), R.data(), G.data(), b, k);
}

template <class T, class I>
void add_csr(nb::module_& m) {
    m.def("csr_times", &csr_times<T, I>, nb::arg("data").noconvert(), nb::arg("indices").noconvert(),
          nb::arg("indptr").noconvert(), nb::arg("W").noconvert(), nb::arg("out").noconvert());
    m.def("csr_transposed_times", &csr_transposed_times<T, I>, nb::arg("data").noconvert(),
          nb::arg("indices").noconvert(), nb::arg("indptr").noconvert(), nb::arg("R").noconvert(),
          nb::arg("out").noconvert());
}

}  // namespace

NB_MODULE(_compiled, m) {
    m.doc() = "Products of blocks of rows with a handful of columns.";
    m.attr("INTERFACE") = 3;
    m.def("levels", &names, "Instruction sets that this machine has kernels for, the best last.");
    m.def("level", [] { return std::string(level.name); }, "The instruction set in use.");
    m.def("choose", &choose, nb::arg("name"), "Use another instruction set.");
    add_dense(m);
    add_csr<float, std::int32_t>(m);
    add_csr<float, std::int64_t>(m);
    add_csr<double, std::int32_t>(m);
    add_csr<double, std::int64_t>(m);
}
