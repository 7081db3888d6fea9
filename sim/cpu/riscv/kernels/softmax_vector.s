# softmax(scale x) of each row of float32 with the vector extension: maximum; exponentials and
# their sum; quotients. As in softmax.s, but a strip of a row at a time; exp is that of exp_vector.s.
# a0 -> x; a1 -> result; a2 rows; a3 columns; fa0 scale. Rows lie one behind the other.
softmax_vector:
    beqz    a2, softmax_vector_end
    beqz    a3, softmax_vector_end
    fmv.s   f8, fa0
    jal     t0, exp_constants
softmax_vector_row:
    flw     f9, 0(a0)
    fmul.s  f9, f9, f8
    vsetvli t1, x0, e32, m1, ta, ma
    vfmv.s.f v1, f9             # the maximum so far
    vmv.v.i v2, 0               # the sum so far
    mv      t4, a0
    mv      t5, a3
softmax_vector_maximum:
    vsetvli t1, t5, e32, m4, ta, ma
    vle32.v v4, (t4)
    sub     t5, t5, t1
    slli    t2, t1, 2
    add     t4, t4, t2
    vfmul.vf v4, v4, f8
    vfredmax.vs v1, v4, v1      # leaves a NaN out; its exponential brings it back
    bnez    t5, softmax_vector_maximum
    vfmv.f.s f9, v1
    mv      t4, a1
    mv      t5, a3
softmax_vector_exponential:
    vsetvli t1, t5, e32, m4, ta, ma
    vle32.v v4, (a0)
    sub     t5, t5, t1
    slli    t2, t1, 2
    add     a0, a0, t2
    vfmul.vf v4, v4, f8
    vfsub.vf v4, v4, f9         # x
    jal     t0, exp_vector
    vse32.v v20, (t4)
    add     t4, t4, t2
    vfredusum.vs v2, v20, v2
    bnez    t5, softmax_vector_exponential
    vfmv.f.s f11, v2
    mv      t5, a3
softmax_vector_quotient:
    vsetvli t1, t5, e32, m4, ta, ma
    vle32.v v4, (a1)
    sub     t5, t5, t1
    vfdiv.vf v4, v4, f11
    vse32.v v4, (a1)
    slli    t2, t1, 2
    add     a1, a1, t2
    bnez    t5, softmax_vector_quotient
    addi    a2, a2, -1
    bnez    a2, softmax_vector_row
softmax_vector_end:
    ret
