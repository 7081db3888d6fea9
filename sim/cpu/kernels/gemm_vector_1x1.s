# One row by a vector of columns of C: decode, and the rows that no tile of four covers.
# a0 -> A, 1 element for each k; a1 -> panel of B, a vector for each k; a2 = end of A; a3 -> C.
# RVV loads have no offset, so pointers step after each.
prologue:
    mv        a0, s0             # start of the rows
    mv        a1, s1             # start of the panel
    vmv.v.i   v0, 0              # accumulators, row by row
loop:
    vle32.v   v16, (a1)
    addi      a1, a1, VECTOR
    flw       f0, 0(a0)
    addi      a0, a0, ELEMENT
    vfmacc.vf v0, f0, v16
    bne       a0, a2, loop
epilogue:
    vse32.v   v0, (a3)
    addi      a3, a3, VECTOR
    bne       a3, a4, prologue   # next tile
