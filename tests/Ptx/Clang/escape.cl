#include "common.h"
kernel void escape(global const float *re, global const float *im, global int *steps, int most) {
    int i = index;
    float a = re[i], b = im[i], x = 0, y = 0;
    // Lanes leave at different times, and some at once.
    if (a > 1.5f) { steps[i] = -1; return; }
    int n = 0;
    for (; n < most; n++) {
        float xx = x * x, yy = y * y;
        if (xx + yy > 4.0f) break;
        if (n % 3 == 2 && b == 0.0f) { y = 0; continue; }
        y = __builtin_fmaf(2.0f * x, y, b);
        x = xx - yy + a;
    }
    steps[i] = n;
}
