#include "common.h"
kernel void transpose(global const float *x, global float *y, int rows, int columns) {
    local float tile[16][17];
    int r = block_y * 16 + tid_y, c = block_x * 16 + tid_x;
    if (r < rows && c < columns) tile[tid_y][tid_x] = x[r * columns + c];
    __syncthreads();
    r = block_x * 16 + tid_y;
    c = block_y * 16 + tid_x;
    if (r < columns && c < rows) y[r * rows + c] = tile[tid_x][tid_y];
}
