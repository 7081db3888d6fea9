.intel_syntax noprefix
L:
vmovups zmm0, [rsi]
vpermps zmm1, zmm7, zmm0
vshuff64x2 zmm2, zmm1, zmm1, 78
vaddps zmm3, zmm3, zmm2
vunpcklps zmm4, zmm0, zmm1
vmovups [rdi], zmm4
add rsi, 64
add rdi, 64
dec rcx
jne L
