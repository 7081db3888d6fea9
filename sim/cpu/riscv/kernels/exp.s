# exp(fa0) in fa0, called by `jal t0, exp` after `jal t0, exp_constants`; changes f0 to f4, t1 to t3.
# Range reduction in two parts (Cody and Waite) to |x| <= ln(2)/2, a polynomial of degree 5 by
# Horner's rule, and 2^n in two factors, so that subnormal results are rounded once.
# Coefficients: S. Moshier, Cephes Mathematical Library, single/expf.c.
exp_constants:
    la      t1, exp_table
    flw     f16, 0(t1)          # log2(e)
    flw     f17, 4(t1)          # ln(2), upper part: few bits, so that n times it is exact
    flw     f18, 8(t1)          # ln(2), rest
    flw     f19, 12(t1)         # coefficients
    flw     f20, 16(t1)
    flw     f21, 20(t1)
    flw     f22, 24(t1)
    flw     f23, 28(t1)
    flw     f24, 32(t1)
    flw     f25, 36(t1)         # 1
    flw     f26, 40(t1)         # below, the result is 0
    flw     f27, 44(t1)         # above, the result is infinite
    jr      t0
exp:
    fmul.s  f1, fa0, f16
    flt.s   t1, fa0, f26
    flt.s   t2, f27, fa0
    fcvt.w.s t3, f1             # n, the nearest whole number
    bnez    t1, exp_zero
    bnez    t2, exp_infinite
    fcvt.s.w f1, t3             # a NaN comes as far as here, and stays one
    fnmsub.s f0, f1, f17, fa0   # x - n ln(2)
    fnmsub.s f0, f1, f18, f0
    srai    t1, t3, 1           # n in halves
    sub     t2, t3, t1
    addi    t1, t1, 127
    addi    t2, t2, 127
    fmadd.s f2, f0, f19, f20
    fmul.s  f1, f0, f0
    slli    t1, t1, 23
    slli    t2, t2, 23
    fmadd.s f2, f2, f0, f21
    fmv.w.x f3, t1
    fmv.w.x f4, t2
    fmadd.s f2, f2, f0, f22
    fmadd.s f2, f2, f0, f23
    fmadd.s f2, f2, f0, f24
    fmadd.s f2, f2, f1, f0      # p x^2 + x + 1
    fadd.s  f2, f2, f25
    fmul.s  f2, f2, f3
    fmul.s  fa0, f2, f4
    jr      t0
exp_zero:
    fmv.w.x fa0, zero
    jr      t0
exp_infinite:
    lui     t1, 0x7f800
    fmv.w.x fa0, t1
    jr      t0

# a0 -> x; a1 -> result; a2 elements.
exp_array:
    beqz    a2, exp_array_end
    jal     t0, exp_constants
exp_array_next:
    flw     fa0, 0(a0)
    jal     t0, exp
    fsw     fa0, 0(a1)
    addi    a0, a0, 4
    addi    a1, a1, 4
    addi    a2, a2, -1
    bnez    a2, exp_array_next
exp_array_end:
    ret

.data
.align 6
exp_table:
    .float 1.44269504088896341, 0.693359375, -2.12194440e-4
    .float 1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3
    .float 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1
    .float 1.0, -103.972084, 88.7228391
.text
