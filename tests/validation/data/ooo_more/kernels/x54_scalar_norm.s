.intel_syntax noprefix
L:
movss xmm1, dword ptr [rsi]
subss xmm1, xmm7
mulss xmm1, xmm6
movss dword ptr [rdi], xmm1
add rsi, 4
add rdi, 4
dec rcx
jne L
