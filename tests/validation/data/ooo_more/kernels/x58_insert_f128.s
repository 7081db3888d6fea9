.intel_syntax noprefix
L:
vmovups xmm0, [rsi]
vinsertf128 ymm0, ymm0, xmmword ptr [rsi+16], 1
vmovups xmm1, [rsi+32]
vinsertf128 ymm1, ymm1, xmmword ptr [rsi+48], 1
vunpcklps ymm2, ymm0, ymm1
vunpckhps ymm3, ymm0, ymm1
vmovups [rdi], ymm2
vmovups [rdi+32], ymm3
add rsi, 64
add rdi, 64
dec rcx
jne L
