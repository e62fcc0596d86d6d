#include "common.h"
kernel void collatz(global const int *x, global int *steps) {
    unsigned n = x[index];
    int count = 0;
    while (n != 1) {
        if (n % 2) n = 3 * n + 1;
        else n /= 2;
        count++;
    }
    steps[index] = count;
}
