.intel_syntax noprefix
L:
movups xmm1, [rsi]
movaps xmm2, xmm1
cmpltps xmm2, xmm7
andps xmm1, xmm2
andnps xmm2, xmm6
orps xmm1, xmm2
movups [rdi], xmm1
add rsi, 16
add rdi, 16
dec rcx
jne L
