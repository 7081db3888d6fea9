.intel_syntax noprefix
L:
vmovups zmm0, [rsi]
vcmpps k1, zmm0, zmm7, 1
vmulps zmm0{k1}, zmm0, zmm6
vaddps zmm1, zmm1, zmm0
add rsi, 64
dec rcx
jne L
