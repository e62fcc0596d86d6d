#include "common.h"
typedef float float4 __attribute__((ext_vector_type(4)));
typedef int int2 __attribute__((ext_vector_type(2)));
kernel void vectors(global const float4 *x, global float4 *y, global int2 *z) {
    int i = index;
    float4 a = x[i];
    y[i] = a.wzyx * 2.0f + a;
    z[i] = z[i].yx - i;
}
