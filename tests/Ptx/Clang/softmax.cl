#include "common.h"
kernel void softmax(global const float *x, global float *y, int columns) {
    global const float *row = x + block_x * columns;
    float most = -__builtin_inff();
    for (int c = tid_x; c < columns; c += 32) most = __builtin_fmaxf(most, row[c]);
    for (int d = 16; d; d /= 2) most = __builtin_fmaxf(most, __nvvm_shfl_sync_bfly_f32(-1, most, d, 31));
    float sum = 0;
    for (int c = tid_x; c < columns; c += 32) sum += __nvvm_ex2_approx_ftz_f((row[c] - most) * 1.44269504f);
    for (int d = 16; d; d /= 2) sum += __nvvm_shfl_sync_bfly_f32(-1, sum, d, 31);
    for (int c = tid_x; c < columns; c += 32)
        y[block_x * columns + c] = __nvvm_ex2_approx_ftz_f((row[c] - most) * 1.44269504f) / sum;
}
