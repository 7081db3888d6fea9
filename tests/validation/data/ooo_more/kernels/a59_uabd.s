L:
ldr q0, [x0], #16
ldr q1, [x1], #16
uabd v2.16b, v0.16b, v1.16b
uadalp v4.8h, v2.16b
subs x2, x2, #16
b.ne L
