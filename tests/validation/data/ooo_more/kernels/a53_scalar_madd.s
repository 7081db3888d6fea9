L:
ldr x3, [x0], #8
ldr x4, [x1], #8
madd x5, x3, x4, x5
subs x2, x2, #1
b.ne L
