L:
lw a3, 0(a0)
fcvt.s.w fa0, a3
fmul.s fa0, fa0, fa1
fsw fa0, 0(a1)
addi a0, a0, 4
addi a1, a1, 4
bne a0, a2, L
