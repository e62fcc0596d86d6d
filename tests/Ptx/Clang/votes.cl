#include "common.h"
kernel void votes(global const int *x, global int *y) {
    int v = x[tid_x];
    int ballot = __nvvm_vote_ballot_sync(-1, v > 0);
    int all = __nvvm_vote_all_sync(-1, v > -50);
    int any = __nvvm_vote_any_sync(-1, v == 7);
    y[tid_x] = ballot;
    y[32 + tid_x] = all * 2 + any;
}
