// Vectors of one width, that of the instruction set this file is compiled for.
//
// The vector types of the compilers (GCC and Clang) are used for everything but the ends of rows: a + b and a * b work lane
// by lane, and a * b + c becomes one fused instruction where there is one. All names have internal linkage, because
// each instruction set compiles them anew and the linker must not mix them up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#endif

#define INLINE inline __attribute__((always_inline))

namespace {

#if defined(__AVX512F__)
constexpr int vector_bytes = 64;
constexpr int registers = 32;
#define MANY_REGISTERS 1
#elif defined(__AVX2__)
constexpr int vector_bytes = 32;
constexpr int registers = 16;
#elif defined(__aarch64__)
constexpr int vector_bytes = 16;
constexpr int registers = 32;
#define MANY_REGISTERS 1
#else
constexpr int vector_bytes = 16;
constexpr int registers = 16;
#endif

template <class T>
struct Simd {
    typedef T type __attribute__((vector_size(vector_bytes)));
    typedef T loose __attribute__((vector_size(vector_bytes), aligned(sizeof(T)), may_alias));
};
template <class T>
using Vector = typename Simd<T>::type;
template <class T>
constexpr std::ptrdiff_t lanes = vector_bytes / sizeof(T);

template <class T>
INLINE Vector<T> load(const T* from) {
    return *reinterpret_cast<const typename Simd<T>::loose*>(from);
}

template <class T>
INLINE void store(T* to, Vector<T> v) {
    *reinterpret_cast<typename Simd<T>::loose*>(to) = v;
}

// One number in all lanes (s - 0 is s, even for s = -0).
template <class T>
INLINE Vector<T> broadcast(T s) {
    return s - Vector<T>{};
}

// Keeps v in a register: otherwise compilers load a vector again for each instruction that reads it, and the loads of a
// tile take longer than its products.
template <class T>
INLINE void hold(T& v) {
#if defined(__AVX512F__)
    asm("" : "+v"(v));
#elif defined(__x86_64__)
    asm("" : "+x"(v));
#elif defined(__aarch64__)
    asm("" : "+w"(v));
#endif
}

// The first `count` numbers, 0 < count < lanes, and zeros; nothing behind them is touched.
template <class T>
INLINE Vector<T> load_part(const T* from, std::ptrdiff_t count) {
    Vector<T> v = {};
    for (std::ptrdiff_t i = 0; i < count; ++i) v[i] = from[i];
    return v;
}

// The numbers behind the first `skip`, and zeros for those; nothing before them is touched.
template <class T>
INLINE Vector<T> load_from(const T* from, std::ptrdiff_t skip) {
    Vector<T> v = {};
    for (std::ptrdiff_t i = skip; i < lanes<T>; ++i) v[i] = from[i];
    return v;
}

template <class T>
INLINE void store_part(T* to, Vector<T> v, std::ptrdiff_t count) {
    for (std::ptrdiff_t i = 0; i < count; ++i) to[i] = v[i];
}

// Half a vector, the other half zero.
template <class T>
INLINE Vector<T> load_half(const T* from) {
    Vector<T> v = {};
    __builtin_memcpy(&v, from, vector_bytes / 2);
    return v;
}

template <class T>
INLINE void store_half(T* to, Vector<T> v) {
    __builtin_memcpy(to, &v, vector_bytes / 2);
}

#if defined(__AVX512F__)
template <>
INLINE Vector<float> load_part<float>(const float* from, std::ptrdiff_t count) {
    return (Vector<float>)_mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1), from);
}
template <>
INLINE Vector<double> load_part<double>(const double* from, std::ptrdiff_t count) {
    return (Vector<double>)_mm512_maskz_loadu_pd((__mmask8)((1u << count) - 1), from);
}
template <>
INLINE Vector<float> load_from<float>(const float* from, std::ptrdiff_t skip) {
    return (Vector<float>)_mm512_maskz_loadu_ps((__mmask16)(0xffffu << skip), from);
}
template <>
INLINE Vector<double> load_from<double>(const double* from, std::ptrdiff_t skip) {
    return (Vector<double>)_mm512_maskz_loadu_pd((__mmask8)(0xffu << skip), from);
}
template <>
INLINE void store_part<float>(float* to, Vector<float> v, std::ptrdiff_t count) {
    _mm512_mask_storeu_ps(to, (__mmask16)((1u << count) - 1), (__m512)v);
}
template <>
INLINE void store_part<double>(double* to, Vector<double> v, std::ptrdiff_t count) {
    _mm512_mask_storeu_pd(to, (__mmask8)((1u << count) - 1), (__m512d)v);
}
#elif defined(__AVX2__)
template <>
INLINE Vector<float> load_half<float>(const float* from) {
    return (Vector<float>)_mm256_zextps128_ps256(_mm_loadu_ps(from));
}
template <>
INLINE Vector<double> load_half<double>(const double* from) {
    return (Vector<double>)_mm256_zextpd128_pd256(_mm_loadu_pd(from));
}
template <>
INLINE void store_half<float>(float* to, Vector<float> v) {
    _mm_storeu_ps(to, _mm256_castps256_ps128((__m256)v));
}
template <>
INLINE void store_half<double>(double* to, Vector<double> v) {
    _mm_storeu_pd(to, _mm256_castpd256_pd128((__m256d)v));
}
INLINE __m256i mask32(std::ptrdiff_t count) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
INLINE __m256i mask64(std::ptrdiff_t count) {
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x(count), _mm256_setr_epi64x(0, 1, 2, 3));
}
template <>
INLINE Vector<float> load_part<float>(const float* from, std::ptrdiff_t count) {
    return (Vector<float>)_mm256_maskload_ps(from, mask32(count));
}
template <>
INLINE Vector<double> load_part<double>(const double* from, std::ptrdiff_t count) {
    return (Vector<double>)_mm256_maskload_pd(from, mask64(count));
}
template <>
INLINE Vector<float> load_from<float>(const float* from, std::ptrdiff_t skip) {
    return (Vector<float>)_mm256_maskload_ps(from, ~mask32(skip));
}
template <>
INLINE Vector<double> load_from<double>(const double* from, std::ptrdiff_t skip) {
    return (Vector<double>)_mm256_maskload_pd(from, ~mask64(skip));
}
template <>
INLINE void store_part<float>(float* to, Vector<float> v, std::ptrdiff_t count) {
    _mm256_maskstore_ps(to, mask32(count), (__m256)v);
}
template <>
INLINE void store_part<double>(double* to, Vector<double> v, std::ptrdiff_t count) {
    _mm256_maskstore_pd(to, mask64(count), (__m256d)v);
}
#endif

#if defined(__AVX2__)
// Four vectors turned into one that holds their sums; unused ones are zero.
INLINE __m128 four_totals(__m256 a, __m256 b, __m256 c, __m256 d) {
    const __m256 ab = _mm256_add_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
    const __m256 cd = _mm256_add_ps(_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
    const __m256d p = _mm256_castps_pd(ab), q = _mm256_castps_pd(cd);
    const __m256 all = _mm256_add_ps(_mm256_castpd_ps(_mm256_unpacklo_pd(p, q)),
                                     _mm256_castpd_ps(_mm256_unpackhi_pd(p, q)));
    return _mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps(all, 1));
}
INLINE __m256d four_totals(__m256d a, __m256d b, __m256d c, __m256d d) {
    const __m256d ab = _mm256_add_pd(_mm256_unpacklo_pd(a, b), _mm256_unpackhi_pd(a, b));
    const __m256d cd = _mm256_add_pd(_mm256_unpacklo_pd(c, d), _mm256_unpackhi_pd(c, d));
    return _mm256_add_pd(_mm256_permute2f128_pd(ab, cd, 0x20), _mm256_permute2f128_pd(ab, cd, 0x31));
}
#if defined(__AVX512F__)
INLINE __m256 halves(__m512 v) {
    const __m256d high = _mm512_maskz_extractf64x4_pd(0xff, _mm512_castps_pd(v), 1);
    return _mm256_add_ps(_mm512_castps512_ps256(v), _mm256_castpd_ps(high));
}
INLINE __m256d halves(__m512d v) {
    return _mm256_add_pd(_mm512_castpd512_pd256(v), _mm512_maskz_extractf64x4_pd(0xff, v, 1));
}
#else
INLINE __m256 halves(__m256 v) { return v; }
INLINE __m256d halves(__m256d v) { return v; }
#endif

// to[i] = the sum of all lanes of v[i], for M <= 4 vectors at once. The order of the additions is the same for each of
// them and for every M, so a sum does not depend on the others.
template <class T, int M>
INLINE void totals(const Vector<T>* v, T* to) {
    const Vector<T> none = {};
    const auto sums = four_totals(halves(v[0]), halves(M > 1 ? v[M > 1 ? 1 : 0] : none),
                                  halves(M > 2 ? v[M > 2 ? 2 : 0] : none), halves(M > 3 ? v[M > 3 ? 3 : 0] : none));
    T part[4];
    __builtin_memcpy(part, &sums, sizeof(sums));
    for (int i = 0; i < M; ++i) to[i] = part[i];
}
#else
template <class T, int M>
INLINE void totals(const Vector<T>* v, T* to) {
    T part[M][lanes<T>];
    for (int i = 0; i < M; ++i) store(part[i], v[i]);
    for (int i = 0; i < M; ++i) {
        for (std::ptrdiff_t half = lanes<T> / 2; half > 0; half /= 2)
            for (std::ptrdiff_t j = 0; j < half; ++j) part[i][j] += part[i][j + half];
        to[i] = part[i][0];
    }
}
#endif

INLINE void later(const void* where) { __builtin_prefetch(where, 0, 2); }

}  // namespace
