# Rotary positions of one token: turn each head's pairs (a, b) to (a cos - b sin, a sin + b cos).
# a0 -> x; a1 -> result; a2 -> cosines and a3 -> sines of the position, one a pair; a4 heads;
# a5 pairs a head; a6 bytes from a pair's first element to the next pair's; a7 bytes between the
# elements of a pair. Neighbours: a6 = 8, a7 = 4. Halves of a head: a6 = 4, a7 = 4 a5.
rope:
    beqz    a4, rope_end
    beqz    a5, rope_end
    slli    t0, a5, 2
    add     t1, a2, t0          # end of the cosines
    slli    t0, a5, 3           # bytes of a head
rope_head:
    mv      t2, a2
    mv      t3, a3
    mv      t4, a0              # a and b of a pair, then those of the result
    add     t6, a0, a7
    mv      t5, a1
    add     a5, a1, a7
rope_pair:
    flw     f0, 0(t4)           # a
    flw     f1, 0(t6)           # b
    flw     f2, 0(t2)           # cos
    flw     f3, 0(t3)           # sin
    add     t4, t4, a6
    add     t6, t6, a6
    fmul.s  f4, f0, f2
    fmul.s  f5, f0, f3
    addi    t2, t2, 4
    addi    t3, t3, 4
    fnmsub.s f4, f1, f3, f4
    fmadd.s f5, f1, f2, f5
    fsw     f4, 0(t5)
    fsw     f5, 0(a5)
    add     t5, t5, a6
    add     a5, a5, a6
    bne     t2, t1, rope_pair
rope_next:
    add     a0, a0, t0
    add     a1, a1, t0
    addi    a4, a4, -1
    bnez    a4, rope_head
rope_end:
    ret
