L:
ldr q0, [x0], #16
faddp v0.4s, v0.4s, v0.4s
faddp s0, v0.2s
fadd s1, s1, s0
subs x2, x2, #1
b.ne L
