L:
ldr q0, [x0, x3]
ldr q1, [x1, x3]
smull v2.8h, v0.8b, v1.8b
sadalp v4.4s, v2.8h
add x3, x3, #16
cmp x3, x2
b.ne L
