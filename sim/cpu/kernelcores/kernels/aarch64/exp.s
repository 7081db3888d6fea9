// exp(v0) in v0, element by element: 2^n e^r, n = round(x log2(e)), a polynomial of degree 6.
// v16 log2(e), v17 and v18 ln(2) in two parts, v19..v24 coefficients, v25 one, v26 127 as integers.
    fmul   v1.4s, v0.4s, v16.4s
    fcvtns v2.4s, v1.4s             // n, rounded to the nearest
    scvtf  v1.4s, v2.4s
    fmls   v0.4s, v1.4s, v17.4s     // x -= n ln(2), the high part first
    fmls   v0.4s, v1.4s, v18.4s
    fmul   v1.4s, v0.4s, v19.4s     // the polynomial; fmla would overwrite a coefficient
    fadd   v1.4s, v1.4s, v20.4s
    fmul   v1.4s, v1.4s, v0.4s
    fadd   v1.4s, v1.4s, v21.4s
    fmul   v1.4s, v1.4s, v0.4s
    fadd   v1.4s, v1.4s, v22.4s
    fmul   v1.4s, v1.4s, v0.4s
    fadd   v1.4s, v1.4s, v23.4s
    fmul   v1.4s, v1.4s, v0.4s
    fadd   v1.4s, v1.4s, v24.4s
    fmul   v1.4s, v1.4s, v0.4s      // p x^2 + x + 1
    fmul   v1.4s, v1.4s, v0.4s
    fadd   v1.4s, v1.4s, v0.4s
    fadd   v1.4s, v1.4s, v25.4s
    add    v2.4s, v2.4s, v26.4s     // 2^n
    shl    v2.4s, v2.4s, #23
    fmul   v0.4s, v1.4s, v2.4s
