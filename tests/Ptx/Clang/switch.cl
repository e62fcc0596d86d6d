#include "common.h"
kernel void switch_(global const int *x, global int *y) {
    int v = x[index], r;
    switch (v % 6) {
        case 0: r = v + 1; break;
        case 1: r = v * 3; break;
        case 2: r = v ^ 0x55; break;
        case 3: for (r = 0; v > r * r; r++) { } break;
        case 4: r = -v; break;
        default: r = 42; break;
    }
    y[index] = r;
}
