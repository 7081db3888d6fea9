.intel_syntax noprefix
L:
mov eax, dword ptr [rsi]
xor ebx, eax
mov eax, ebx
shr ebx, 8
and eax, 255
xor ebx, dword ptr [rdi+rax*4]
add rsi, 1
dec rcx
jne L
