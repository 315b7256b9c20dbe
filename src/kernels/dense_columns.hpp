// Statistics of the columns of dense rows: extremes and moments, each in one pass.
#pragma once

#include <cstddef>

namespace {

// Number of columns whose tables stay in the first-level cache during a pass over the rows.
constexpr std::ptrdiff_t table_columns = 512;

// low, high (d,): smallest and largest number of each column
template <class T>
void extremes(const T* X, T* low, T* high, std::ptrdiff_t b, std::ptrdiff_t d) {
    for (std::ptrdiff_t j = 0; j < d; ++j) low[j] = high[j] = X[j];
    for (std::ptrdiff_t i = 1; i < b; ++i) {
        const T* x = X + i * d;
        for (std::ptrdiff_t j = 0; j < d; ++j) {
            low[j] = x[j] < low[j] ? x[j] : low[j];
            high[j] = x[j] > high[j] ? x[j] : high[j];
        }
    }
}

// first, second (d,) += sums of z and z^2 for z = (x - shift) / scale, in double precision
template <class T>
void moments(const T* X, const double* shift, const double* scale, double* first, double* second, std::ptrdiff_t b,
             std::ptrdiff_t d) {
    double over[table_columns];
    for (std::ptrdiff_t c = 0; c < d; c += table_columns) {
        const std::ptrdiff_t width = d - c < table_columns ? d - c : table_columns;
        for (std::ptrdiff_t j = 0; j < width; ++j) over[j] = 1 / scale[c + j];
        for (std::ptrdiff_t i = 0; i < b; ++i) {
            const T* x = X + i * d + c;
            for (std::ptrdiff_t j = 0; j < width; ++j) {
                const double z = (static_cast<double>(x[j]) - shift[c + j]) * over[j];
                first[c + j] += z;
                second[c + j] += z * z;
            }
        }
    }
}

}  // namespace
