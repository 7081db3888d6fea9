# A row of 4 elements of C: decode, and the rows that no 4x4 tile covers.
# a0 -> A, 1 element for each k; a1 -> panel of B, 4 columns for each k; a2 = end of A; a3 -> C.
prologue:
    mv      a0, s0              # start of the rows
    mv      a1, s1              # start of the panel
    fmv.w.x f0, zero            # accumulators, row by row
    fmv.w.x f1, zero
    fmv.w.x f2, zero
    fmv.w.x f3, zero
loop:
    flw     f16, 0(a1)       # row k of the panel
    flw     f17, ELEMENT(a1)
    flw     f18, 2*ELEMENT(a1)
    flw     f19, 3*ELEMENT(a1)
    flw     f20, 0(a0)       # column k of the rows
    addi    a1, a1, 4*ELEMENT
    addi    a0, a0, ELEMENT
    fmadd.s f0, f20, f16, f0
    fmadd.s f1, f20, f17, f1
    fmadd.s f2, f20, f18, f2
    fmadd.s f3, f20, f19, f3
    bne     a0, a2, loop
epilogue:
    fsw     f0, 0(a3)
    fsw     f1, ELEMENT(a3)
    fsw     f2, 2*ELEMENT(a3)
    fsw     f3, 3*ELEMENT(a3)
    addi    a3, a3, 4*ELEMENT
    bne     a3, a4, prologue    # next tile
