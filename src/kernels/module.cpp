// The kernels as a Python module. Arrays are never converted: other types raise TypeError, and
// softreg/rows/kernels/products.py uses NumPy instead. The interpreter's lock is released while a kernel runs.
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <string>
#include <vector>

#include "bindings.hpp"

namespace {

// Instruction sets of this machine, in increasing order.
std::vector<Level> levels() {
    std::vector<Level> found{{"baseline", &baseline_dense, &baseline_csr, &baseline_slabs}};
#if defined(__x86_64__)
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (avx2) found.push_back({"avx2", &avx2_dense, &avx2_csr, &avx2_slabs});
    if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq"))
        found.push_back({"avx512", &avx512_dense, &avx2_csr, &avx512_slabs});
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

}  // namespace

NB_MODULE(_compiled, m) {
    m.doc() = "Products of blocks of rows with a handful of columns.";
    m.attr("INTERFACE") = 9;
    m.def("levels", &names, "Instruction sets that this machine has kernels for, the best last.");
    m.def("level", [] { return std::string(level.name); }, "The instruction set in use.");
    m.def("choose", &choose, nb::arg("name"), "Use another instruction set.");
    add_dense(m);
    add_csr(m);
    add_slabs(m);
}
