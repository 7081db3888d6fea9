# Four rows by a vector of columns of C: each vector of B is used four times, each scalar of A once.
# a0 -> A, 4 elements for each k; a1 -> panel of B, a vector for each k; a2 = end of A; a3 -> C.
# RVV loads have no offset, so pointers step after each.
prologue:
    mv        a0, s0             # start of the rows
    mv        a1, s1             # start of the panel
    vmv.v.i   v0, 0              # accumulators, row by row
    vmv.v.i   v1, 0
    vmv.v.i   v2, 0
    vmv.v.i   v3, 0
loop:
    vle32.v   v16, (a1)
    addi      a1, a1, VECTOR
    flw       f0, 0(a0)
    flw       f1, ELEMENT(a0)
    flw       f2, 2*ELEMENT(a0)
    flw       f3, 3*ELEMENT(a0)
    addi      a0, a0, 4*ELEMENT
    vfmacc.vf v0, f0, v16
    vfmacc.vf v1, f1, v16
    vfmacc.vf v2, f2, v16
    vfmacc.vf v3, f3, v16
    bne       a0, a2, loop
epilogue:
    vse32.v   v0, (a3)
    addi      a3, a3, VECTOR
    vse32.v   v1, (a3)
    addi      a3, a3, VECTOR
    vse32.v   v2, (a3)
    addi      a3, a3, VECTOR
    vse32.v   v3, (a3)
    addi      a3, a3, VECTOR
    bne       a3, a4, prologue   # next tile
