L:
ldr s0, [x0], #4
fcmp s0, s1
fcsel s1, s0, s1, gt
subs x2, x2, #1
b.ne L
