.intel_syntax noprefix
L:
vmovups ymm0, [rsi+rax]
vsubps ymm0, ymm0, ymm7
vmulps ymm0, ymm0, ymm6
vmulps ymm0, ymm0, [rdx+rax]
vaddps ymm0, ymm0, [rbx+rax]
vmovups [rdi+rax], ymm0
add rax, 32
cmp rax, rcx
jne L
