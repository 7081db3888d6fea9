# One element of C: a dot product over k. Used for the columns that no panel covers.
# a0 -> row of A, a1 -> column of B (both contiguous), a2 = end of the row, a3 -> C.
prologue:
    mv      a0, s0              # start of the row
    mv      a1, s1              # start of the column
    fmv.w.x f0, zero            # accumulator
loop:
    flw     f4, 0(a0)
    flw     f5, 0(a1)
    addi    a0, a0, ELEMENT
    addi    a1, a1, ELEMENT
    fmadd.s f0, f4, f5, f0
    bne     a0, a2, loop
epilogue:
    fsw     f0, 0(a3)
    addi    a3, a3, ELEMENT
    bne     a3, a4, prologue    # next element
