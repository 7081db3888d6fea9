# exp(v4) in v20 with the vector extension, groups of four registers: called by
# `jal t0, exp_vector` after `jal t0, exp_constants` and under e32, m4; changes v0, v8 to v27, t3.
# As in exp.s, whose constants these are, but what lies outside the range is merged in at the end.
exp_vector:
    vfmul.vf v8, v4, f16
    vfcvt.x.f.v v12, v8         # n, the nearest whole number
    vfcvt.f.x.v v8, v12
    vmv.v.v v16, v4
    vfnmsac.vf v16, f17, v8     # x - n ln(2), in two parts
    vfnmsac.vf v16, f18, v8
    vfmv.v.f v20, f20
    vfmacc.vf v20, f19, v16     # the polynomial
    vfmv.v.f v24, f21
    vfmadd.vv v20, v16, v24
    vfmv.v.f v24, f22
    vfmadd.vv v20, v16, v24
    vfmv.v.f v24, f23
    vfmadd.vv v20, v16, v24
    vfmv.v.f v24, f24
    vfmadd.vv v20, v16, v24
    vfmul.vv v24, v16, v16
    vfmadd.vv v20, v24, v16     # p x^2 + x + 1
    vfadd.vf v20, v20, f25
    vsra.vi v8, v12, 1          # 2^n in two factors
    vsub.vv v12, v12, v8
    li      t3, 127
    vadd.vx v8, v8, t3
    vadd.vx v12, v12, t3
    vsll.vi v8, v8, 23
    vsll.vi v12, v12, 23
    vfmul.vv v20, v20, v8
    vfmul.vv v20, v20, v12
    vmflt.vf v0, v4, f26        # below, 0
    vmerge.vim v20, v20, 0, v0
    vmfgt.vf v0, v4, f27        # above, infinite
    lui     t3, 0x7f800
    vmerge.vxm v20, v20, t3, v0
    vmfne.vv v0, v4, v4         # a NaN stays one
    vmerge.vvm v20, v20, v4, v0
    jr      t0

# a0 -> x; a1 -> result; a2 elements.
exp_array_vector:
    beqz    a2, exp_array_vector_end
    jal     t0, exp_constants
exp_array_vector_strip:
    vsetvli t1, a2, e32, m4, ta, ma
    vle32.v v4, (a0)
    sub     a2, a2, t1
    slli    t2, t1, 2
    add     a0, a0, t2
    jal     t0, exp_vector
    vse32.v v20, (a1)
    add     a1, a1, t2
    bnez    a2, exp_array_vector_strip
exp_array_vector_end:
    ret
