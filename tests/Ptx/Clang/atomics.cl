#include "common.h"
kernel void atomics(global int *x, global int *old) {
    int i = index;
    __nvvm_atom_add_gen_i((int *)x, i);
    __nvvm_atom_min_gen_i((int *)x + 1, 40 - i);
    __nvvm_atom_max_gen_ui((unsigned *)x + 2, (unsigned)i * 3);
    __nvvm_atom_or_gen_i((int *)x + 3, 1 << (i & 31));
    __nvvm_atom_and_gen_i((int *)x + 4, ~(1 << (i & 7)));
    __nvvm_atom_xor_gen_i((int *)x + 5, i);
    old[i] = __nvvm_atom_cas_gen_i((int *)x + 6 + i, i, 1000 + i);
    old[i] += __nvvm_atom_xchg_gen_i((int *)x + 6 + i, -i);
}
