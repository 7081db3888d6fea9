# One row by two vectors of columns of C: decode, and the rows that no tile of four covers.
# a0 -> A, 1 element for each k; a1 -> panel of B, two vectors for each k; a2 = end of A; a3 -> C.
# RVV loads have no offset, so pointers step after each.
prologue:
    mv        a0, s0             # start of the rows
    mv        a1, s1             # start of the panel
    vmv.v.i   v0, 0              # accumulators, row by row
    vmv.v.i   v1, 0
loop:
    vle32.v   v16, (a1)
    addi      a1, a1, VECTOR
    vle32.v   v17, (a1)
    addi      a1, a1, VECTOR
    flw       f0, 0(a0)
    addi      a0, a0, ELEMENT
    vfmacc.vf v0, f0, v16
    vfmacc.vf v1, f0, v17
    bne       a0, a2, loop
epilogue:
    vse32.v   v0, (a3)
    addi      a3, a3, VECTOR
    vse32.v   v1, (a3)
    addi      a3, a3, VECTOR
    bne       a3, a4, prologue   # next tile
