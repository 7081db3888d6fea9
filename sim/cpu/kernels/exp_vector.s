# exp(v0) in v0, element by element: exp.s with the vector unit's destructive multiply-adds.
# v16 log2(e), v17 1/2, v18 and v19 ln(2) in two parts, v20..v25 coefficients, v26 one, v27 127.
exp:
    vmv.v.v     v1, v17
    vfmacc.vv   v1, v0, v16       # n = floor(x log2(e) + 1/2)
    vfcvt.x.f.v v2, v1
    vfcvt.f.x.v v1, v2
    vfnmsac.vv  v0, v1, v18       # x -= n ln(2), the high part first
    vfnmsac.vv  v0, v1, v19
    vmv.v.v     v1, v20
    vfmadd.vv   v1, v0, v21       # the polynomial
    vfmadd.vv   v1, v0, v22
    vfmadd.vv   v1, v0, v23
    vfmadd.vv   v1, v0, v24
    vfmadd.vv   v1, v0, v25
    vfmul.vv    v1, v1, v0        # p x^2 + x + 1
    vfmadd.vv   v1, v0, v0
    vfadd.vv    v1, v1, v26
    vadd.vv     v2, v2, v27       # 2^n
    vsll.vi     v2, v2, 23
    vfmul.vv    v0, v1, v2
