# exp(f0) in f0, as in Cephes' expf (S. Moshier, cephes/single/expf.c): Cody-Waite range reduction,
# a polynomial of degree 5 by Horner's rule, and the power of two put into the exponent bits.
# f16 log2(e), f17 1/2, f18 and f19 ln(2) in two parts, f20..f25 coefficients, f26 one.
exp:
    fmadd.s  f1, f0, f16, f17     # n = floor(x log2(e) + 1/2)
    fcvt.w.s x28, f1
    fcvt.s.w f1, x28
    fnmsub.s f0, f1, f18, f0      # x -= n ln(2), the high part first
    fnmsub.s f0, f1, f19, f0
    fmul.s   f1, f0, f0
    fmadd.s  f2, f0, f20, f21     # the polynomial
    fmadd.s  f2, f2, f0, f22
    fmadd.s  f2, f2, f0, f23
    fmadd.s  f2, f2, f0, f24
    fmadd.s  f2, f2, f0, f25
    fmadd.s  f2, f2, f1, f0       # p x^2 + x + 1
    fadd.s   f2, f2, f26
    addi     x28, x28, 127        # 2^n
    slli     x28, x28, 23
    fmv.w.x  f1, x28
    fmul.s   f0, f2, f1
