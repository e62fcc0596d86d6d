#include "common.h"
kernel void comparisons(global const float *x, global int *y, int n) {
    int i = index;
    float v = x[i], w = x[(i * 5 + 3) % n];
    int r = 0;
    if (v < w) r |= 1;
    if (v <= w) r |= 2;
    if (v > w) r |= 4;
    if (v >= w) r |= 8;
    if (v == w) r |= 16;
    if (v != w) r |= 32;
    if (!(v < w)) r |= 64;
    if (!(v >= w)) r |= 128;
    if (v != v) r |= 256;
    if (v == v && w == w) r |= 512;
    int p = __builtin_bit_cast(int, v), q = __builtin_bit_cast(int, w);
    if (p < q) r |= 1024;
    if ((unsigned)p < (unsigned)q) r |= 2048;
    if ((unsigned)p >= (unsigned)q) r |= 4096;
    if (p != q && p > 0) r |= 8192;
    y[i] = r;
}
