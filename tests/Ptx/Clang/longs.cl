#include "common.h"
kernel void longs(global const long *a, global const long *b, global long *y, int n) {
    int i = index;
    long p = a[i], q = b[i];
    y[i] = p * q - i;
    y[n + i] = p / q;
    y[2 * n + i] = (unsigned long)p % (unsigned long)q;
    y[3 * n + i] = (p << (i & 63)) ^ ((unsigned long)q >> (i & 63));
    y[4 * n + i] = p >> (i & 63);
    y[5 * n + i] = p > q ? p : q;
    y[6 * n + i] = (long)(float)p + (int)q;
    y[7 * n + i] = __builtin_clzl(p | 1) + __builtin_bitreverse64(q);
}
