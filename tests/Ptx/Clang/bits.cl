#include "common.h"
kernel void bits(global const unsigned *x, global unsigned *y, int n) {
    int i = index;
    unsigned a = x[i], s = i & 31;
    y[i] = __builtin_popcount(a);
    y[n + i] = a ? __builtin_clz(a) : 32;
    y[2 * n + i] = __builtin_bitreverse32(a);
    y[3 * n + i] = (a << s) | (a >> (-s & 31));
    y[4 * n + i] = __builtin_bswap32(a);
    y[5 * n + i] = (a >> 5) & 0x1ff;
    y[6 * n + i] = (int)(a << 9) >> 20;
    y[7 * n + i] = (a & ~0xff0u) | ((unsigned)i << 4 & 0xff0);
    y[8 * n + i] = ~a ^ (a >> s);
    y[9 * n + i] = (int)a >> s;
    y[10 * n + i] = __builtin_popcountll((unsigned long)a * 0x100000001ul);
}
