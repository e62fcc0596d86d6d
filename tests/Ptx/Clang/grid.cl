#include "common.h"
kernel void grid(global int *y) {
    int x = block_x * size_x + tid_x, r = block_y * size_y + tid_y, z = block_z * size_z + tid_z;
    int width = __nvvm_read_ptx_sreg_nctaid_x() * size_x, height = __nvvm_read_ptx_sreg_nctaid_y() * size_y;
    y[(z * height + r) * width + x] = x + 100 * r + 10000 * z;
}
