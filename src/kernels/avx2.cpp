#define DENSE avx2_dense
#include "dense_table.inc"

#define CSR avx2_csr
#include "csr_table.inc"

#define SLABS avx2_slabs
#include "slabs_table.inc"
