L:
ld1 {v0.4s, v1.4s}, [x0], #32
fmax v0.4s, v0.4s, v7.4s
fmax v1.4s, v1.4s, v7.4s
st1 {v0.4s, v1.4s}, [x1], #32
subs x2, x2, #8
b.ne L
