# softmax(scale x) of each row of float32: maximum; exponentials and their sum; quotients.
# a0 -> x; a1 -> result; a2 rows; a3 columns; fa0 scale. Rows lie one behind the other.
softmax:
    beqz    a2, softmax_end
    beqz    a3, softmax_end
    fmv.s   f8, fa0
    jal     t0, exp_constants
    slli    a3, a3, 2
softmax_row:
    add     t4, a0, a3          # end of the row
    mv      t5, a0
    mv      t6, a1
    flw     f9, 0(a0)
    fmul.s  f9, f9, f8
softmax_maximum:
    flw     f1, 0(t5)
    addi    t5, t5, 4
    fmul.s  f1, f1, f8
    fmax.s  f9, f9, f1          # leaves a NaN out; its exponential brings it back
    bne     t5, t4, softmax_maximum
softmax_sum:
    fmv.w.x f11, zero
softmax_exponential:
    flw     fa0, 0(a0)
    addi    a0, a0, 4
    fmul.s  fa0, fa0, f8
    fsub.s  fa0, fa0, f9
    jal     t0, exp
    fsw     fa0, 0(t6)
    addi    t6, t6, 4
    fadd.s  f11, f11, fa0
    bne     a0, t4, softmax_exponential
softmax_quotient:
    flw     f1, 0(a1)
    fdiv.s  f1, f1, f11
    fsw     f1, 0(a1)
    addi    a1, a1, 4
    bne     a1, t6, softmax_quotient
softmax_more:
    addi    a2, a2, -1
    bnez    a2, softmax_row
softmax_end:
    ret
