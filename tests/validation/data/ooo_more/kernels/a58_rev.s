L:
ldr q0, [x0]
rev64 v1.4s, v0.4s
ext v1.16b, v1.16b, v1.16b, #8
str q1, [x1]
add x0, x0, #16
sub x1, x1, #16
cmp x0, x2
b.ne L
