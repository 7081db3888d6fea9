# (x - mean) / sqrt(variance + eps) * weight + bias of each row of float32.
# a0 -> x; a1 -> weight; a2 -> bias; a3 -> result; a4 rows; a5 columns; fa0 eps.
layernorm:
    beqz    a4, layernorm_end
    beqz    a5, layernorm_end
    fcvt.s.l f8, a5             # columns, as a number
    slli    a5, a5, 2
layernorm_row:
    add     t1, a0, a5          # end of the row
    mv      t2, a0
    fmv.w.x f0, zero
layernorm_sum:
    flw     f1, 0(t2)
    addi    t2, t2, 4
    fadd.s  f0, f0, f1
    bne     t2, t1, layernorm_sum
layernorm_mean:
    fdiv.s  f0, f0, f8          # mean
    mv      t2, a0
    fmv.w.x f2, zero
layernorm_square:
    flw     f1, 0(t2)
    addi    t2, t2, 4
    fsub.s  f1, f1, f0
    fmadd.s f2, f1, f1, f2
    bne     t2, t1, layernorm_square
layernorm_root:
    fdiv.s  f2, f2, f8          # variance
    fadd.s  f2, f2, fa0
    fsqrt.s f2, f2
    mv      t3, a1
    mv      t4, a2
layernorm_scale:
    flw     f1, 0(a0)
    flw     f3, 0(t3)
    flw     f4, 0(t4)
    addi    a0, a0, 4
    addi    t3, t3, 4
    fsub.s  f1, f1, f0
    addi    t4, t4, 4
    fdiv.s  f1, f1, f2
    fmadd.s f1, f1, f3, f4
    fsw     f1, 0(a3)
    addi    a3, a3, 4
    bne     a0, t1, layernorm_scale
layernorm_more:
    addi    a4, a4, -1
    bnez    a4, layernorm_row
layernorm_end:
    ret
