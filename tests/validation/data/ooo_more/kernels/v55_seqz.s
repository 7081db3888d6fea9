L:
ld a3, 0(a0)
seqz a4, a3
add a5, a5, a4
mulhu a6, a3, a7
xor t0, t0, a6
addi a0, a0, 8
bne a0, a2, L
