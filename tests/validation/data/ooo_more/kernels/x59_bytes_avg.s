.intel_syntax noprefix
L:
vmovdqu ymm0, [rsi+rax]
vpavgb ymm0, ymm0, [rdi+rax]
vpmaxuw ymm0, ymm0, ymm5
vmovdqu [rdx+rax], ymm0
add rax, 32
cmp rax, rcx
jne L
