L:
ldr w3, [x0], #4
cmp w3, w4
csel w4, w3, w4, gt
cinc w5, w5, gt
subs x2, x2, #1
b.ne L
