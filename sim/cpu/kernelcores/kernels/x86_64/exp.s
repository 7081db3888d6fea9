# exp(ymm0) in ymm0, element by element: 2^n e^r, n = round(x log2(e)), a polynomial of degree 6.
# rbp -> constants, a vector each: log2(e), ln(2) in two parts, six coefficients, 1/2, 1, 127.
    vmulps       ymm1, ymm0, [rbp]
    vcvtps2dq    ymm2, ymm1             # n, rounded to the nearest
    vcvtdq2ps    ymm1, ymm2
    vfnmadd231ps ymm0, ymm1, [rbp+32]   # x -= n ln(2), the high part first
    vfnmadd231ps ymm0, ymm1, [rbp+64]
    vmovups      ymm1, [rbp+96]         # the polynomial
    vfmadd213ps  ymm1, ymm0, [rbp+128]
    vfmadd213ps  ymm1, ymm0, [rbp+160]
    vfmadd213ps  ymm1, ymm0, [rbp+192]
    vfmadd213ps  ymm1, ymm0, [rbp+224]
    vfmadd213ps  ymm1, ymm0, [rbp+256]
    vmulps       ymm1, ymm1, ymm0       # p x^2 + x + 1
    vfmadd213ps  ymm1, ymm0, ymm0
    vaddps       ymm1, ymm1, [rbp+320]
    vpaddd       ymm2, ymm2, [rbp+352]  # 2^n
    vpslld       ymm2, ymm2, 23
    vmulps       ymm0, ymm1, ymm2
