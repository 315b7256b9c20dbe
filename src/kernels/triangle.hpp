// Solving with Cholesky factors: L L^T x = b for a lower triangle L and a few right-hand sides.
//
// L is kept in panels of 16 columns, each from its diagonal down, row by row, with reciprocals on the diagonal: half the
// memory of the square, and read in order, once each way, for as many right-hand sides as fit into the registers of a
// tile. The right-hand sides lie beside one another, so that each has its own lane and no sum depends on the others;
// where there is only one, the columns of a panel are the lanes.
#pragma once

#include "simd.hpp"

namespace {
namespace triangles {

using Size = std::ptrdiff_t;

constexpr Size panel = 16;       // columns
constexpr Size run = 128;        // rows whose right-hand sides and columns stay in the first cache
constexpr Size ahead = 64;       // rows prefetched ahead of their use
constexpr int most_vectors = 3;  // of right-hand sides solved for at once
constexpr int tile(int vectors) { return registers == 32 ? (vectors == 1 ? 16 : 8) : (vectors == 1 ? 8 : 4); }

// Where the panel that begins with column j is: behind those of k, k - 16, ... rows
INLINE Size place(Size k, Size j) { return j * k - j * (j - panel) / 2; }

// L (k, k) in Fortran order becomes panels; what is not below the diagonal is never read
template <class T>
void pack(const T* L, T* to, Size k) {
    for (Size j = 0; j < k; j += panel)
        for (Size i = j; i < k; ++i)
            for (Size c = j; c < j + panel; ++c, ++to)
                *to = c > i ? T(0) : c == i ? 1 / L[c * k + i] : L[c * k + i];
}

// A row of a panel on its way into the second cache; where there is none, nothing happens
template <class T>
INLINE void fetch(const T* row) {
    later(row);
    if (sizeof(T) == 8) later(row + panel / 2);
}

// b[u] -= sum_c P[u, c] x[c] over the columns of a panel, for U rows
template <class T, int V, int U>
INLINE void forward_tile(const T* P, const Vector<T>* x, Vector<T>* b) {
    Vector<T> sum[U][V];
#pragma GCC unroll 16
    for (int u = 0; u < U; ++u)
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) sum[u][v] = b[u * V + v];
#pragma GCC unroll 16
    for (int u = 0; u < U; ++u) fetch(P + (u + ahead) * panel);
    for (Size c = 0; c < panel; ++c) {
        Vector<T> at[V];
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) at[v] = x[c * V + v];
#pragma GCC unroll 16
        for (int u = 0; u < U; ++u) {
            const Vector<T> l = broadcast(P[u * panel + c]);
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v) sum[u][v] -= l * at[v];
        }
    }
#pragma GCC unroll 16
    for (int u = 0; u < U; ++u)
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) b[u * V + v] = sum[u][v];
}

// x[u] -= sum_i P[i, u] b[i] over some rows, for U columns of a panel
template <class T, int V, int U>
INLINE void backward_tile(const T* P, const Vector<T>* b, Vector<T>* x, Size rows) {
    Vector<T> sum[U][V] = {};
    for (Size i = 0; i < rows; ++i) {
        Vector<T> at[V];
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) at[v] = b[i * V + v];
#pragma GCC unroll 16
        for (int u = 0; u < U; ++u) {
            const Vector<T> l = broadcast(P[i * panel + u]);
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v) sum[u][v] += l * at[v];
        }
    }
#pragma GCC unroll 16
    for (int u = 0; u < U; ++u)
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) x[u * V + v] -= sum[u][v];
}

// b (k, V vectors) becomes L^-1 b
template <class T, int V>
void forward(const T* P, Vector<T>* b, Size k) {
    constexpr Size U = tile(V);
    for (Size j = 0; j < k; j += panel) {
        const Size count = k - j < panel ? k - j : panel;
        const T* D = P + place(k, j);
        Vector<T>* x = b + j * V;
        for (Size c = 0; c < count; ++c) {
            for (int v = 0; v < V; ++v) x[c * V + v] *= D[c * panel + c];
            for (Size i = c + 1; i < count; ++i)
                for (int v = 0; v < V; ++v) x[i * V + v] -= D[i * panel + c] * x[c * V + v];
        }
        Size i = panel;
        for (; i + U <= k - j; i += U) forward_tile<T, V, U>(D + i * panel, x, x + i * V);
        for (; i < k - j; ++i) forward_tile<T, V, 1>(D + i * panel, x, x + i * V);
    }
}

// b (k, V vectors) becomes L^-T b
template <class T, int V>
void backward(const T* P, Vector<T>* b, Size k) {
    constexpr Size U = tile(V);
    for (Size j = (k - 1) / panel * panel; j >= 0; j -= panel) {
        const Size count = k - j < panel ? k - j : panel;
        const T* D = P + place(k, j);
        Vector<T>* x = b + j * V;
        for (Size i = panel; i < k - j; i += run) {
            const Size rows = k - j - i < run ? k - j - i : run;
            for (Size u = 0; u < panel; u += U) {
                for (Size f = u * rows / panel; f < (u + U) * rows / panel; ++f)
                    fetch(D + (i + f) * panel - (k - j + panel) * panel);  // of the panel that comes next
                backward_tile<T, V, U>(D + i * panel + u, x + i * V, x + u * V, rows);
            }
        }
        for (Size c = count - 1; c >= 0; --c) {
            for (int v = 0; v < V; ++v) x[c * V + v] *= D[c * panel + c];
            for (Size i = 0; i < c; ++i)
                for (int v = 0; v < V; ++v) x[i * V + v] -= D[c * panel + i] * x[c * V + v];
        }
    }
}

// Both ways for r <= V vectors of right-hand sides, the rows of B (r, k)
template <class T, int V>
void several(const T* P, T* B, Size k, Size r, Vector<T>* work) {
    constexpr Size wide = V * lanes<T>;
    T* flat = reinterpret_cast<T*>(work);
    for (Size i = 0; i < k; ++i)
        for (Size s = 0; s < wide; ++s) flat[i * wide + s] = s < r ? B[s * k + i] : T(0);
    forward<T, V>(P, work, k);
    backward<T, V>(P, work, k);
    for (Size i = 0; i < k; ++i)
        for (Size s = 0; s < r; ++s) B[s * k + i] = flat[i * wide + s];
}

// Both ways for one right-hand side
template <class T>
void single(const T* P, T* b, Size k) {
    constexpr Size L = lanes<T>, N = panel / L, U = 4;
    for (Size j = 0; j < k; j += panel) {
        const Size count = k - j < panel ? k - j : panel;
        const T* D = P + place(k, j);
        T* x = b + j;
        for (Size c = 0; c < count; ++c) {
            x[c] *= D[c * panel + c];
            for (Size i = c + 1; i < count; ++i) x[i] -= D[i * panel + c] * x[c];
        }
        if (count < panel) break;
        Vector<T> at[N];
        for (Size v = 0; v < N; ++v) at[v] = load(x + v * L);
        for (Size i = panel; i < k - j; i += U) {
            const Size rows = k - j - i < U ? k - j - i : U;
            Vector<T> part[U] = {};
            T sums[U];
            for (Size u = 0; u < rows; ++u)
                for (Size v = 0; v < N; ++v) part[u] += load(D + (i + u) * panel + v * L) * at[v];
            totals<T, U>(part, sums);
            for (Size u = 0; u < rows; ++u) x[i + u] -= sums[u];
        }
    }
    for (Size j = (k - 1) / panel * panel; j >= 0; j -= panel) {
        const Size count = k - j < panel ? k - j : panel;
        const T* D = P + place(k, j);
        T* x = b + j;
        Vector<T> sum[U][N] = {};
        for (Size i = panel; i < k - j; i += U)
            for (Size u = 0; u < U && i + u < k - j; ++u)
                for (Size v = 0; v < N; ++v) sum[u][v] += load(D + (i + u) * panel + v * L) * x[i + u];
        for (Size v = 0; v < N && count == panel; ++v)
            store(x + v * L, load(x + v * L) - ((sum[0][v] + sum[1][v]) + (sum[2][v] + sum[3][v])));
        for (Size c = count - 1; c >= 0; --c) {
            x[c] *= D[c * panel + c];
            for (Size i = 0; i < c; ++i) x[i] -= D[c * panel + i] * x[c];
        }
    }
}

// Vectors that r right-hand sides are solved in at once
template <class T>
Size vectors(Size r) {
    return r > (most_vectors - 1) * lanes<T> ? most_vectors : (r + lanes<T> - 1) / lanes<T>;
}

template <class T>
Size bytes(Size k, Size r) {
    return k * vectors<T>(r) * sizeof(Vector<T>);
}

// Each row b of B (r, k) becomes L^-T (L^-1 b)
template <class T>
void solve(const T* P, T* B, Size k, Size r, void* memory) {
    constexpr Size most = most_vectors * lanes<T>;
    constexpr void (*ways[])(const T*, T*, Size, Size, Vector<T>*) = {several<T, 1>, several<T, 2>, several<T, 3>};
    auto* work = static_cast<Vector<T>*>(memory);
    if (r == 1) return single(P, B, k);
    for (Size s = 0; s < r; s += most) {
        const Size here = r - s < most ? r - s : most;
        ways[vectors<T>(here) - 1](P, B + s * k, k, here, work);
    }
}

}  // namespace triangles
}  // namespace
