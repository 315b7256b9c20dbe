#define DENSE baseline_dense
#include "dense_table.inc"

#define CSR baseline_csr
#include "csr_table.inc"

#define SLABS baseline_slabs
#include "slabs_table.inc"
