.intel_syntax noprefix
L:
movsxd rax, dword ptr [rsi]
imul rax, rdx
sar rax, 16
add rbx, rax
mov [rdi], eax
add rsi, 4
add rdi, 4
dec rcx
jne L
