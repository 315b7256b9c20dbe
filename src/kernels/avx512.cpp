#define DENSE avx512_dense
#include "dense_table.inc"

#define SLABS avx512_slabs
#include "slabs_table.inc"
