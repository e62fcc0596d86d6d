#include "common.h"
kernel void reduce(global const int *x, global int *sums) {
    local int s[256];
    s[tid_x] = x[index];
    __syncthreads();
    for (int n = 128; n > 0; n /= 2) {
        if (tid_x < n) s[tid_x] += s[tid_x + n];
        __syncthreads();
    }
    if (tid_x == 0) sums[block_x] = s[0];
}
