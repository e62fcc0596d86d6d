#include "common.h"
kernel void histogram(global const unsigned char *x, global int *counts, int n) {
    local int bins[16];
    if (tid_x < 16) bins[tid_x] = 0;
    __syncthreads();
    for (int i = tid_x; i < n; i += size_x) __nvvm_atom_add_gen_i((int *)&bins[x[i] & 15], 1);
    __syncthreads();
    if (tid_x < 16) counts[tid_x] = bins[tid_x];
}
