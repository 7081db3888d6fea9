.intel_syntax noprefix
L:
movaps xmm0, [rsi]
movaps xmm1, [rsi+16]
movaps xmm2, [rsi+32]
movaps xmm3, [rsi+48]
movaps xmm4, xmm0
unpcklps xmm0, xmm1
unpckhps xmm4, xmm1
movaps xmm5, xmm2
unpcklps xmm2, xmm3
unpckhps xmm5, xmm3
movaps xmm6, xmm0
movlhps xmm0, xmm2
movhlps xmm2, xmm6
movaps [rdi], xmm0
movaps [rdi+16], xmm2
movaps [rdi+32], xmm4
movaps [rdi+48], xmm5
add rsi, 64
add rdi, 64
dec rcx
jne L
