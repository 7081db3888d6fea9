# A 4x4 tile of C as 4 + 4 loads and 16 multiply-adds for each k (an outer product), so that every
# loaded element is used four times and the accumulators stay in registers.
# a0 -> A, 4 elements for each k; a1 -> panel of B, 4 columns for each k; a2 = end of A; a3 -> C.
prologue:
    mv      a0, s0              # start of the rows
    mv      a1, s1              # start of the panel
    fmv.w.x f0, zero            # accumulators, row by row
    fmv.w.x f1, zero
    fmv.w.x f2, zero
    fmv.w.x f3, zero
    fmv.w.x f4, zero
    fmv.w.x f5, zero
    fmv.w.x f6, zero
    fmv.w.x f7, zero
    fmv.w.x f8, zero
    fmv.w.x f9, zero
    fmv.w.x f10, zero
    fmv.w.x f11, zero
    fmv.w.x f12, zero
    fmv.w.x f13, zero
    fmv.w.x f14, zero
    fmv.w.x f15, zero
loop:
    flw     f16, 0(a1)       # row k of the panel
    flw     f17, ELEMENT(a1)
    flw     f18, 2*ELEMENT(a1)
    flw     f19, 3*ELEMENT(a1)
    flw     f20, 0(a0)       # column k of the rows
    flw     f21, ELEMENT(a0)
    flw     f22, 2*ELEMENT(a0)
    flw     f23, 3*ELEMENT(a0)
    addi    a1, a1, 4*ELEMENT
    addi    a0, a0, 4*ELEMENT
    fmadd.s f0, f20, f16, f0
    fmadd.s f1, f20, f17, f1
    fmadd.s f2, f20, f18, f2
    fmadd.s f3, f20, f19, f3
    fmadd.s f4, f21, f16, f4
    fmadd.s f5, f21, f17, f5
    fmadd.s f6, f21, f18, f6
    fmadd.s f7, f21, f19, f7
    fmadd.s f8, f22, f16, f8
    fmadd.s f9, f22, f17, f9
    fmadd.s f10, f22, f18, f10
    fmadd.s f11, f22, f19, f11
    fmadd.s f12, f23, f16, f12
    fmadd.s f13, f23, f17, f13
    fmadd.s f14, f23, f18, f14
    fmadd.s f15, f23, f19, f15
    bne     a0, a2, loop
epilogue:
    fsw     f0, 0(a3)
    fsw     f1, ELEMENT(a3)
    fsw     f2, 2*ELEMENT(a3)
    fsw     f3, 3*ELEMENT(a3)
    fsw     f4, 4*ELEMENT(a3)
    fsw     f5, 5*ELEMENT(a3)
    fsw     f6, 6*ELEMENT(a3)
    fsw     f7, 7*ELEMENT(a3)
    fsw     f8, 8*ELEMENT(a3)
    fsw     f9, 9*ELEMENT(a3)
    fsw     f10, 10*ELEMENT(a3)
    fsw     f11, 11*ELEMENT(a3)
    fsw     f12, 12*ELEMENT(a3)
    fsw     f13, 13*ELEMENT(a3)
    fsw     f14, 14*ELEMENT(a3)
    fsw     f15, 15*ELEMENT(a3)
    addi    a3, a3, 16*ELEMENT
    bne     a3, a4, prologue    # next tile
