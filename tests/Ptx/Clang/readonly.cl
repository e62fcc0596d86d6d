#include "common.h"
typedef float float4 __attribute__((ext_vector_type(4)));
kernel void readonly(global const float *restrict x, global float *restrict y, int n) {
    float sum = 0;
    for (int i = 0; i < n; i++) sum += __nvvm_ldg_f((const float *)x + index * n + i);
    y[index] = sum;
}
