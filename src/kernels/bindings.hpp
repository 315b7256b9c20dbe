// Declarations shared by the files that bind kernels to Python.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include "level.hpp"

namespace nb = nanobind;

template <class T>
using Matrix = nb::ndarray<T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
template <class T>
using Cube = nb::ndarray<T, nb::ndim<3>, nb::c_contig, nb::device::cpu>;
template <class T>
using Numbers = nb::ndarray<T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

struct Level {
    const char* name;
    const DenseKernels* dense;
    const CsrKernels* csr;
    const SlabKernels* slabs;
};

extern Level level;  // the instruction set in use

inline void require(bool fits) {
    if (!fits) throw nb::value_error("the shapes of the arrays do not fit one another");
}

void add_dense(nb::module_& m);
void add_csr(nb::module_& m);
void add_slabs(nb::module_& m);
