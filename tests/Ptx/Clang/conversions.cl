#include "common.h"
kernel void conversions(global const float *x, global const signed char *c, global int *y, global float *z,
    global unsigned char *bytes, global short *shorts, int n) {
    int i = index;
    float v = x[i];
    y[i] = (int)v;
    y[n + i] = c[i];
    y[2 * n + i] = (int)(long)v;
    z[i] = __builtin_floorf(v);
    z[n + i] = __builtin_ceilf(v);
    z[2 * n + i] = __builtin_truncf(v);
    z[3 * n + i] = __builtin_rintf(v);
    z[4 * n + i] = (float)(unsigned)(c[i] * 16909320) + (float)c[i];
    z[5 * n + i] = (float)(double)v * 0.5f;
    bytes[i] = (unsigned char)(unsigned)__builtin_fabsf(v);
    shorts[i] = (short)(c[i] * 100);
}
