.intel_syntax noprefix
L:
mov rdx, [rsi]
mulx r9, r8, r10
add r11, r8
adc rbx, r9
lea rsi, [rsi+8]
dec rcx
jne L
