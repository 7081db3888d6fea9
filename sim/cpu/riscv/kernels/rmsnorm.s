# x / sqrt(mean(x^2) + eps) * weight of each row of float32.
# a0 -> x; a1 -> weight; a2 -> result; a3 rows; a4 columns; fa0 eps.
rmsnorm:
    beqz    a3, rmsnorm_end
    beqz    a4, rmsnorm_end
    fcvt.s.l f8, a4             # columns, as a number
    slli    a4, a4, 2
rmsnorm_row:
    add     t1, a0, a4          # end of the row
    mv      t2, a0
    fmv.w.x f0, zero
rmsnorm_square:
    flw     f1, 0(t2)
    addi    t2, t2, 4
    fmadd.s f0, f1, f1, f0
    bne     t2, t1, rmsnorm_square
rmsnorm_root:
    fdiv.s  f0, f0, f8
    fadd.s  f0, f0, fa0
    fsqrt.s f0, f0
    mv      t3, a1
rmsnorm_scale:
    flw     f1, 0(a0)
    flw     f2, 0(t3)
    addi    a0, a0, 4
    addi    t3, t3, 4
    fdiv.s  f1, f1, f0
    fmul.s  f1, f1, f2
    fsw     f1, 0(a2)
    addi    a2, a2, 4
    bne     a0, t1, rmsnorm_scale
rmsnorm_more:
    addi    a3, a3, -1
    bnez    a3, rmsnorm_row
rmsnorm_end:
    ret
