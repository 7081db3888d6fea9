# Rows and numbers that are looked up, moved and chosen.

# Embedding: a0 -> token numbers (64 bits); a1 -> table; a2 -> rows; a3 tokens; a4 columns.
embedding:
    beqz    a3, embedding_end
    beqz    a4, embedding_end
    slli    a4, a4, 2
embedding_token:
    ld      t0, 0(a0)
    mul     t0, t0, a4
    add     t0, a1, t0          # the token's row
    add     t1, t0, a4
embedding_element:
    flw     f0, 0(t0)
    addi    t0, t0, 4
    fsw     f0, 0(a2)
    addi    a2, a2, 4
    bne     t0, t1, embedding_element
embedding_next:
    addi    a0, a0, 8
    addi    a3, a3, -1
    bnez    a3, embedding_token
embedding_end:
    ret

# Append to a cache: a0 -> float32; a1 -> the position's place; a2 elements.
cache_append:
    beqz    a2, cache_append_end
    slli    a2, a2, 2
    add     a2, a0, a2
cache_append_next:
    flw     f0, 0(a0)
    addi    a0, a0, 4
    fsw     f0, 0(a1)
    addi    a1, a1, 4
    bne     a0, a2, cache_append_next
cache_append_end:
    ret

# Argmax: a0 -> float32 [rows, columns]; a1 -> numbers (64 bits); a2 rows; a3 columns.
# The first of several maxima, or the first NaN, as numpy has it.
argmax:
    beqz    a2, argmax_end
    beqz    a3, argmax_end
    slli    a3, a3, 2
argmax_row:
    flw     f0, 0(a0)           # the best so far
    add     t3, a0, a3          # end of the row
    mv      t1, a0
    mv      t0, a0              # where the best stands
    feq.s   t2, f0, f0
    beqz    t2, argmax_store
argmax_next:
    addi    t1, t1, 4
    beq     t1, t3, argmax_store
argmax_look:
    flw     f1, 0(t1)
    fle.s   t2, f1, f0          # fails for a larger number, and for a NaN
    bnez    t2, argmax_next
argmax_better:
    fmv.s   f0, f1
    mv      t0, t1
    feq.s   t2, f1, f1
    bnez    t2, argmax_next
argmax_store:
    sub     t0, t0, a0
    srai    t0, t0, 2
    sd      t0, 0(a1)
    addi    a1, a1, 8
    mv      a0, t3
    addi    a2, a2, -1
    bnez    a2, argmax_row
argmax_end:
    ret
