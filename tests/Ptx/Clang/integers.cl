#include "common.h"
kernel void integers(global const int *a, global const int *b, global int *y, int n) {
    int i = index, p = a[i], q = b[i];
    unsigned up = p, uq = q;
    y[i] = p * q + i;
    y[n + i] = (int)(((long)p * q) >> 32);
    y[2 * n + i] = (int)(((unsigned long)up * uq) >> 32);
    y[3 * n + i] = p / q;
    y[4 * n + i] = p % q;
    y[5 * n + i] = up / uq;
    y[6 * n + i] = up % uq;
    y[7 * n + i] = p < q ? p : q;
    y[8 * n + i] = up > uq ? up : uq;
    y[9 * n + i] = p < 0 ? -p : p;
    y[10 * n + i] = p / 7 + up / 10;
    y[11 * n + i] = (short)p * (short)q + (unsigned char)p;
}
