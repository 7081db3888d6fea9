# exp(f0) in f0: 2^n e^r with n = round(x log2(e)) and a polynomial of degree 6.
# f16 log2(e), f17 and f18 ln(2) in two parts, f19..f24 coefficients, f25 one.
    fmul.s   f1, f0, f16
    fcvt.w.s x5, f1              # n, rounded to the nearest
    fcvt.s.w f1, x5
    fnmsub.s f0, f1, f17, f0     # x -= n ln(2), the high part first
    fnmsub.s f0, f1, f18, f0
    fmadd.s  f1, f19, f0, f20    # the polynomial
    fmadd.s  f1, f1, f0, f21
    fmadd.s  f1, f1, f0, f22
    fmadd.s  f1, f1, f0, f23
    fmadd.s  f1, f1, f0, f24
    fmul.s   f1, f1, f0          # p x^2 + x + 1
    fmadd.s  f1, f1, f0, f0
    fadd.s   f1, f1, f25
    addiw    x5, x5, 127         # 2^n
    slliw    x5, x5, 23
    fmv.w.x  f2, x5
    fmul.s   f0, f1, f2
