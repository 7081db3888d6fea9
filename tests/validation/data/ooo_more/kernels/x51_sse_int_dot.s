.intel_syntax noprefix
L:
movdqu xmm1, [rsi+rax]
movdqu xmm2, [rdi+rax]
pmaddwd xmm1, xmm2
paddd xmm0, xmm1
add rax, 32
cmp rax, rcx
jne L
