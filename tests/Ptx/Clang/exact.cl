#include "common.h"
kernel void exact(global const float *x, global float *y, int n) {
    int i = index;
    float v = x[i], w = x[n - 1 - i];
    y[i] = __nvvm_sqrt_rn_f(v * v + w);
    y[n + i] = v / w;
    y[2 * n + i] = 1.0f / v;
    y[3 * n + i] = __builtin_fminf(v, w);
    y[4 * n + i] = __builtin_fmaxf(v, w);
    y[5 * n + i] = __builtin_fabsf(v) - w;
    y[6 * n + i] = -v * w + 3.0f;
    y[7 * n + i] = __builtin_fmaf(-v, w, __builtin_fmaf(v, 0.1f, w));
}
