.intel_syntax noprefix
L:
movsd xmm0, qword ptr [rsi]
sqrtsd xmm1, xmm0
divsd xmm2, xmm1
movsd qword ptr [rdi], xmm1
add rsi, 8
dec rcx
jne L
