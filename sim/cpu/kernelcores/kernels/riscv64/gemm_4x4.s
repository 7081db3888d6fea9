# A 4x4 tile of C: 4 + 4 loads and 16 multiply-adds for each k, so that every loaded element is used
# four times.
# a0 -> A, packed: a column of the block for each k; a1 -> B, packed: a row of the panel for each k;
# a2 = end of B.
# An edge of C takes the same loop without the lines of the rows and vectors beyond it.
loop:
    flw     f16, 0(a1)                  # row k of the panel
    flw     f17, 4(a1)                  # vector 1
    flw     f18, 8(a1)                  # vector 2
    flw     f19, 12(a1)                 # vector 3
    flw     f20, 0(a0)                  # row 0
    flw     f21, 4(a0)                  # row 1
    flw     f22, 8(a0)                  # row 2
    flw     f23, 12(a0)                 # row 3
    addi    a0, a0, 16
    addi    a1, a1, 16
    fmadd.s f0, f20, f16, f0            # row 0, vector 0
    fmadd.s f1, f20, f17, f1            # row 0, vector 1
    fmadd.s f2, f20, f18, f2            # row 0, vector 2
    fmadd.s f3, f20, f19, f3            # row 0, vector 3
    fmadd.s f4, f21, f16, f4            # row 1, vector 0
    fmadd.s f5, f21, f17, f5            # row 1, vector 1
    fmadd.s f6, f21, f18, f6            # row 1, vector 2
    fmadd.s f7, f21, f19, f7            # row 1, vector 3
    fmadd.s f8, f22, f16, f8            # row 2, vector 0
    fmadd.s f9, f22, f17, f9            # row 2, vector 1
    fmadd.s f10, f22, f18, f10          # row 2, vector 2
    fmadd.s f11, f22, f19, f11          # row 2, vector 3
    fmadd.s f12, f23, f16, f12          # row 3, vector 0
    fmadd.s f13, f23, f17, f13          # row 3, vector 1
    fmadd.s f14, f23, f18, f14          # row 3, vector 2
    fmadd.s f15, f23, f19, f15          # row 3, vector 3
    bne     a1, a2, loop
