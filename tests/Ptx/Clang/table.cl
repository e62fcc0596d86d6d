#include "common.h"
constant float table[8] = {1.5f, -2.25f, 3e10f, 0.0f, 5e-39f, 7.0f, -0.5f, 100.0f};
kernel void table_(global const int *x, global float *y) { y[index] = table[x[index] & 7]; }
