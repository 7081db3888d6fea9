.intel_syntax noprefix
L:
vmovupd ymm1, [rsi+rax]
vfmadd231pd ymm0, ymm1, [rdi+rax]
vmovupd ymm2, [rsi+rax+32]
vfmadd231pd ymm3, ymm2, [rdi+rax+32]
add rax, 64
cmp rax, rcx
jne L
