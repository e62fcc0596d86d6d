#include "common.h"
kernel void special(global const float *x, global float *y, int n) {
    int i = index;
    float v = x[i];
    y[i] = __nvvm_ex2_approx_ftz_f(v);
    y[n + i] = __nvvm_rsqrt_approx_ftz_f(v * v + 0.25f);
    y[2 * n + i] = __nvvm_lg2_approx_ftz_f(v * v + 0.25f);
    y[3 * n + i] = __nvvm_sqrt_approx_ftz_f(v * v + 0.25f);
    y[4 * n + i] = __nvvm_sin_approx_ftz_f(v * 0.25f);
    y[5 * n + i] = __nvvm_cos_approx_ftz_f(v * 0.25f);
    y[6 * n + i] = __nvvm_div_approx_ftz_f(v, 0.75f + v * v);
}
