#include "common.h"
kernel void shuffles(global const int *x, global int *y, int source) {
    int v = x[tid_x];
    y[tid_x] = __nvvm_shfl_sync_idx_i32(-1, v, source, 31);
    y[32 + tid_x] = __nvvm_shfl_sync_up_i32(-1, v, 3, 0);
    y[64 + tid_x] = __nvvm_shfl_sync_down_i32(-1, v, 5, 31);
    y[96 + tid_x] = __nvvm_shfl_sync_bfly_i32(-1, v, 16, 31);
    // Segments of eight lanes: bits 8 to 12 of the last operand are the mask of what stays.
    y[128 + tid_x] = __nvvm_shfl_sync_idx_i32(-1, v, tid_x + 3, 0x1807);
    y[160 + tid_x] = __nvvm_shfl_sync_down_i32(-1, v, 2, 0x1807);
}
