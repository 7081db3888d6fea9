L:
flw fa0, 0(a0)
fmax.s fa1, fa1, fa0
flt.s a3, fa2, fa0
add a4, a4, a3
addi a0, a0, 4
bne a0, a2, L
