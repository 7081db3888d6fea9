L:
flw fa0, 0(a0)
flw fa1, 0(a1)
fmadd.s fa1, fa0, fa2, fa1
fsw fa1, 0(a1)
addi a0, a0, 4
addi a1, a1, 4
bne a0, a2, L
