L:
lbu a3, 0(a0)
slli a4, a3, 2
add a4, a4, a1
lw a5, 0(a4)
addw a6, a6, a5
addi a0, a0, 1
bltu a0, a2, L
