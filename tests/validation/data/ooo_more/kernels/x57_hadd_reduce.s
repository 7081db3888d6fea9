.intel_syntax noprefix
L:
vmovups ymm0, [rsi]
vextractf128 xmm1, ymm0, 1
vaddps xmm0, xmm0, xmm1
vmovhlps xmm1, xmm0, xmm0
vaddps xmm0, xmm0, xmm1
vmovshdup xmm1, xmm0
vaddss xmm0, xmm0, xmm1
vmovss dword ptr [rdi], xmm0
add rsi, 32
add rdi, 4
dec rcx
jne L
