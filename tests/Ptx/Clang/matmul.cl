#include "common.h"
kernel void matmul(global const float *a, global const float *b, global float *c, int n) {
    local float s[8][8], t[8][8];
    int row = block_y * 8 + tid_y, column = block_x * 8 + tid_x;
    float sum = 0;
    for (int k = 0; k < n; k += 8) {
        s[tid_y][tid_x] = a[row * n + k + tid_x];
        t[tid_y][tid_x] = b[(k + tid_y) * n + column];
        __syncthreads();
        for (int i = 0; i < 8; i++) sum = __builtin_fmaf(s[tid_y][i], t[i][tid_x], sum);
        __syncthreads();
    }
    c[row * n + column] = sum;
}
