# Rows and numbers that are looked up, moved and chosen, with the vector extension.

# Embedding: a0 -> token numbers (64 bits); a1 -> table; a2 -> rows; a3 tokens; a4 columns.
embedding_vector:
    beqz    a3, embedding_vector_end
    beqz    a4, embedding_vector_end
embedding_vector_token:
    ld      t0, 0(a0)
    mul     t0, t0, a4
    slli    t0, t0, 2
    add     t0, a1, t0          # the token's row
    mv      t3, a4
embedding_vector_strip:
    vsetvli t1, t3, e32, m8, ta, ma
    vle32.v v8, (t0)
    sub     t3, t3, t1
    slli    t2, t1, 2
    add     t0, t0, t2
    vse32.v v8, (a2)
    add     a2, a2, t2
    bnez    t3, embedding_vector_strip
embedding_vector_next:
    addi    a0, a0, 8
    addi    a3, a3, -1
    bnez    a3, embedding_vector_token
embedding_vector_end:
    ret

# Append to a cache: a0 -> float32; a1 -> the position's place; a2 elements.
cache_append_vector:
    beqz    a2, cache_append_vector_end
cache_append_vector_strip:
    vsetvli t1, a2, e32, m8, ta, ma
    vle32.v v8, (a0)
    sub     a2, a2, t1
    slli    t2, t1, 2
    add     a0, a0, t2
    vse32.v v8, (a1)
    add     a1, a1, t2
    bnez    a2, cache_append_vector_strip
cache_append_vector_end:
    ret

# Argmax: a0 -> float32 [rows, columns]; a1 -> numbers (64 bits); a2 rows; a3 columns.
# The first of several maxima, or the first NaN, as numpy has it: a strip's maximum first, and where
# it stands only if it is a new one.
argmax_vector:
    beqz    a2, argmax_vector_end
    beqz    a3, argmax_vector_end
    lui     t6, 0xff800         # minus infinity
argmax_vector_row:
    fmv.w.x f0, t6              # the best so far
    li      t0, 0               # where the best stands
    li      t4, 0               # where the strip begins
    mv      t5, a3              # columns left
    mv      t3, a0
argmax_vector_strip:
    vsetvli t1, t5, e32, m8, ta, ma
    vle32.v v8, (t3)
    vfmv.s.f v1, f0
    vmfne.vv v0, v8, v8         # a NaN
    vfirst.m t2, v0
    bgez    t2, argmax_vector_found
argmax_vector_look:
    vfredmax.vs v1, v8, v1
    vfmv.f.s f1, v1
    flt.s   t2, f0, f1
    beqz    t2, argmax_vector_next
argmax_vector_better:
    fmv.s   f0, f1
    vmfeq.vf v0, v8, f1
    vfirst.m t2, v0
    add     t0, t4, t2
argmax_vector_next:
    sub     t5, t5, t1
    add     t4, t4, t1
    slli    t2, t1, 2
    add     t3, t3, t2
    bnez    t5, argmax_vector_strip
    j       argmax_vector_store
argmax_vector_found:
    add     t0, t4, t2
argmax_vector_store:
    sd      t0, 0(a1)
    addi    a1, a1, 8
    slli    t2, a3, 2
    add     a0, a0, t2
    addi    a2, a2, -1
    bnez    a2, argmax_vector_row
argmax_vector_end:
    ret
