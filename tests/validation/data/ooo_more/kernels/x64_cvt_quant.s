.intel_syntax noprefix
L:
vmovups ymm0, [rsi]
vmulps ymm0, ymm0, ymm7
vroundps ymm0, ymm0, 8
vmaxps ymm0, ymm0, ymm6
vminps ymm0, ymm0, ymm5
vcvttps2dq ymm0, ymm0
vextracti128 xmm1, ymm0, 1
vpackssdw xmm0, xmm0, xmm1
vpacksswb xmm0, xmm0, xmm0
vmovq qword ptr [rdi], xmm0
add rsi, 32
add rdi, 8
dec rcx
jne L
