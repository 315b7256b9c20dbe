#define DENSE avx512_dense
#include "dense_table.inc"
