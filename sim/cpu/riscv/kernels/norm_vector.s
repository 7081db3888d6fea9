# Norms of rows of float32 with the vector extension. Partial sums stay in a group of registers
# while strips of the row go by; where a strip is short, their tail must stay: hence `tu`.

# x / sqrt(mean(x^2) + eps) * weight of each row.
# a0 -> x; a1 -> weight; a2 -> result; a3 rows; a4 columns; fa0 eps.
rmsnorm_vector:
    beqz    a3, rmsnorm_vector_end
    beqz    a4, rmsnorm_vector_end
    fcvt.s.l f8, a4             # columns, as a number
rmsnorm_vector_row:
    vsetvli t0, x0, e32, m4, ta, ma
    vmv.v.i v8, 0
    vmv.s.x v1, x0
    mv      t2, a0
    mv      t5, a4
rmsnorm_vector_square:
    vsetvli t1, t5, e32, m4, tu, ma
    vle32.v v4, (t2)
    sub     t5, t5, t1
    slli    t3, t1, 2
    add     t2, t2, t3
    vfmacc.vv v8, v4, v4
    bnez    t5, rmsnorm_vector_square
rmsnorm_vector_root:
    vsetvli t0, x0, e32, m4, ta, ma
    vfredusum.vs v1, v8, v1
    vfmv.f.s f0, v1
    fdiv.s  f0, f0, f8
    fadd.s  f0, f0, fa0
    fsqrt.s f0, f0
    mv      t4, a1
    mv      t5, a4
rmsnorm_vector_scale:
    vsetvli t1, t5, e32, m4, ta, ma
    vle32.v v4, (a0)
    vle32.v v12, (t4)
    sub     t5, t5, t1
    slli    t3, t1, 2
    add     a0, a0, t3
    add     t4, t4, t3
    vfdiv.vf v4, v4, f0
    vfmul.vv v4, v4, v12
    vse32.v v4, (a2)
    add     a2, a2, t3
    bnez    t5, rmsnorm_vector_scale
rmsnorm_vector_more:
    addi    a3, a3, -1
    bnez    a3, rmsnorm_vector_row
rmsnorm_vector_end:
    ret

# (x - mean) / sqrt(variance + eps) * weight + bias of each row.
# a0 -> x; a1 -> weight; a2 -> bias; a3 -> result; a4 rows; a5 columns; fa0 eps.
layernorm_vector:
    beqz    a4, layernorm_vector_end
    beqz    a5, layernorm_vector_end
    fcvt.s.l f8, a5             # columns, as a number
layernorm_vector_row:
    vsetvli t0, x0, e32, m4, ta, ma
    vmv.v.i v8, 0
    vmv.s.x v1, x0
    mv      t2, a0
    mv      t5, a5
layernorm_vector_sum:
    vsetvli t1, t5, e32, m4, tu, ma
    vle32.v v4, (t2)
    sub     t5, t5, t1
    slli    t3, t1, 2
    add     t2, t2, t3
    vfadd.vv v8, v8, v4
    bnez    t5, layernorm_vector_sum
layernorm_vector_mean:
    vsetvli t0, x0, e32, m4, ta, ma
    vfredusum.vs v2, v8, v1
    vfmv.f.s f0, v2
    fdiv.s  f0, f0, f8          # mean
    vmv.v.i v8, 0
    mv      t2, a0
    mv      t5, a5
layernorm_vector_square:
    vsetvli t1, t5, e32, m4, tu, ma
    vle32.v v4, (t2)
    sub     t5, t5, t1
    slli    t3, t1, 2
    add     t2, t2, t3
    vfsub.vf v4, v4, f0
    vfmacc.vv v8, v4, v4
    bnez    t5, layernorm_vector_square
layernorm_vector_root:
    vsetvli t0, x0, e32, m4, ta, ma
    vfredusum.vs v2, v8, v1
    vfmv.f.s f2, v2
    fdiv.s  f2, f2, f8          # variance
    fadd.s  f2, f2, fa0
    fsqrt.s f2, f2
    mv      t4, a1
    mv      t6, a2
    mv      t5, a5
layernorm_vector_scale:
    vsetvli t1, t5, e32, m4, ta, ma
    vle32.v v4, (a0)
    vle32.v v12, (t4)
    vle32.v v16, (t6)
    sub     t5, t5, t1
    slli    t3, t1, 2
    add     a0, a0, t3
    add     t4, t4, t3
    add     t6, t6, t3
    vfsub.vf v4, v4, f0
    vfdiv.vf v4, v4, f2
    vfmadd.vv v4, v12, v16
    vse32.v v4, (a3)
    add     a3, a3, t3
    bnez    t5, layernorm_vector_scale
layernorm_vector_more:
    addi    a4, a4, -1
    bnez    a4, layernorm_vector_row
layernorm_vector_end:
    ret
