# One row by eight elements of C, as a decode step has it: every element of B is used once.
# a0 -> A, packed: a column of the block for each k; a1 -> B, packed: a row of the panel for each k;
# a2 = end of B.
# An edge of C takes the same loop without the lines of the rows and vectors beyond it.
loop:
    flw     f8, 0(a1)                   # row k of the panel
    flw     f9, 4(a1)                   # vector 1
    flw     f10, 8(a1)                  # vector 2
    flw     f11, 12(a1)                 # vector 3
    flw     f12, 16(a1)                 # vector 4
    flw     f13, 20(a1)                 # vector 5
    flw     f14, 24(a1)                 # vector 6
    flw     f15, 28(a1)                 # vector 7
    flw     f16, 0(a0)                  # row 0
    addi    a0, a0, 4
    addi    a1, a1, 32
    fmadd.s f0, f16, f8, f0             # row 0, vector 0
    fmadd.s f1, f16, f9, f1             # row 0, vector 1
    fmadd.s f2, f16, f10, f2            # row 0, vector 2
    fmadd.s f3, f16, f11, f3            # row 0, vector 3
    fmadd.s f4, f16, f12, f4            # row 0, vector 4
    fmadd.s f5, f16, f13, f5            # row 0, vector 5
    fmadd.s f6, f16, f14, f6            # row 0, vector 6
    fmadd.s f7, f16, f15, f7            # row 0, vector 7
    bne     a1, a2, loop
