L:
ldr q0, [x0, #16]!
fmul v0.4s, v0.4s, v7.4s
fcvtns v0.4s, v0.4s
xtn v0.4h, v0.4s
str d0, [x1], #8
subs x2, x2, #4
b.ne L
