#include "common.h"
kernel void saxpy(global const float *x, global float *y, float a, int n) {
    int i = index;
    if (i < n) y[i] = __builtin_fmaf(a, x[i], y[i]);
}
