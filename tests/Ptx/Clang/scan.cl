#include "common.h"
kernel void scan(global const float *x, global float *y) {
    float v = x[index];
    for (int d = 1; d < 32; d *= 2) {
        float before = __nvvm_shfl_sync_up_f32(-1, v, d, 0);
        if ((tid_x & 31) >= d) v += before;
    }
    y[index] = v;
}
