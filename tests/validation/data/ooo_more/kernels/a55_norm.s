L:
ldp q0, q1, [x0]
fmul v2.4s, v0.4s, v0.4s
fmul v3.4s, v1.4s, v1.4s
fadd v4.4s, v4.4s, v2.4s
fadd v5.4s, v5.4s, v3.4s
add x0, x0, #32
cmp x0, x1
b.ne L
