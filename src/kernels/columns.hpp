// Statistics of the columns of CSR rows: extremes, moments, and duplicate column indices in a row.
#pragma once

#include <cstddef>
#include <cstdint>

namespace {

// table (d, 3): smallest and largest stored number, and their count; updated in place
template <class D, class I>
void csr_extremes(const D* data, const I* index, std::ptrdiff_t count, double* table) {
    for (std::ptrdiff_t p = 0; p < count; ++p) {
        double* of = table + 3 * static_cast<std::ptrdiff_t>(index[p]);
        const auto x = static_cast<double>(data[p]);
        of[0] = x < of[0] ? x : of[0];
        of[1] = x > of[1] ? x : of[1];
        of[2] += 1;
    }
}

// table (d, 4): one over the scale, z0 = the image of zero, and the sums of z - z0 and z^2 - z0^2 for z = x / scale + z0
template <class D, class I>
void csr_moments(const D* data, const I* index, std::ptrdiff_t count, double* table) {
    for (std::ptrdiff_t p = 0; p < count; ++p) {
        double* of = table + 4 * static_cast<std::ptrdiff_t>(index[p]);
        const double u = static_cast<double>(data[p]) * of[0];
        of[2] += u;
        of[3] += u * (u + 2 * of[1]);
    }
}

// Return whether a row has duplicate column indices; seen (d,) is initialised with -1
template <class I>
bool csr_repeats(const I* index, const I* start, std::ptrdiff_t n, I* seen) {
    for (std::ptrdiff_t i = 0; i < n; ++i)
        for (I p = start[i]; p < start[i + 1]; ++p) {
            if (seen[index[p]] == static_cast<I>(i)) return true;
            seen[index[p]] = static_cast<I>(i);
        }
    return false;
}

}  // namespace
