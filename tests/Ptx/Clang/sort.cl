#include "common.h"
// An array of the thread's own, with indices that are not known when it is compiled.
kernel void sort(global const int *x, global int *y, int n) {
    int v[16];
    for (int i = 0; i < n; i++) {
        int j = i;
        for (; j > 0 && v[j - 1] > x[index * n + i]; j--) v[j] = v[j - 1];
        v[j] = x[index * n + i];
    }
    for (int i = 0; i < n; i++) y[index * n + i] = v[i];
}
