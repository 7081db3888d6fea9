L:
ldrb w3, [x0]
ubfx w4, w3, #2, #4
eor w5, w5, w4
ror w5, w5, #3
clz w6, w5
add w7, w7, w6
add x0, x0, #1
subs x2, x2, #1
b.ne L
