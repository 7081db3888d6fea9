# Rotary positions of one token with the vector extension: turn each head's pairs (a, b) to
# (a cos - b sin, a sin + b cos), a strip of pairs at a time.
# a0 -> x; a1 -> result; a2 -> cosines and a3 -> sines of the position, one a pair; a4 heads;
# a5 pairs a head; a6 bytes from a pair's first element to the next pair's; a7 bytes between the
# elements of a pair. Neighbours: a6 = 8, a7 = 4. Halves of a head: a6 = 4, a7 = 4 a5.
rope_vector:
    beqz    a4, rope_vector_end
    beqz    a5, rope_vector_end
rope_vector_head:
    mv      t2, a2
    mv      t3, a3
    mv      t4, a0              # a of the next pair, then that of the result
    mv      t5, a1
    mv      t6, a5              # pairs left
rope_vector_strip:
    vsetvli t0, t6, e32, m4, ta, ma
    add     t1, t4, a7
    vlse32.v v4, (t4), a6       # a
    vlse32.v v8, (t1), a6       # b
    vle32.v v12, (t2)           # cos
    vle32.v v16, (t3)           # sin
    sub     t6, t6, t0
    vfmul.vv v20, v4, v12
    vfmul.vv v24, v4, v16
    vfnmsac.vv v20, v8, v16
    vfmacc.vv v24, v8, v12
    slli    t1, t0, 2
    add     t2, t2, t1
    add     t3, t3, t1
    add     t1, t5, a7
    vsse32.v v20, (t5), a6
    vsse32.v v24, (t1), a6
    mul     t1, t0, a6          # bytes of the strip's pairs
    add     t4, t4, t1
    add     t5, t5, t1
    bnez    t6, rope_vector_strip
rope_vector_next:
    slli    t0, a5, 3           # bytes of a head
    add     a0, a0, t0
    add     a1, a1, t0
    addi    a4, a4, -1
    bnez    a4, rope_vector_head
rope_vector_end:
    ret
