.intel_syntax noprefix
L:
movups xmm1, [rsi+rax]
mulps xmm1, xmm0
addps xmm1, [rdi+rax]
movups [rdi+rax], xmm1
add rax, 16
cmp rax, rcx
jne L
