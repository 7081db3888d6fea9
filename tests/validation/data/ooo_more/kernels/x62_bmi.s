.intel_syntax noprefix
L:
mov rax, [rsi]
blsr rbx, rax
andn rdx, rax, r8
tzcnt r9, rax
popcnt r10, rbx
add r11, r9
add r11, r10
add rsi, 8
dec rcx
jne L
