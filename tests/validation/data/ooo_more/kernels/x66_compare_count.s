.intel_syntax noprefix
L:
vmovups ymm0, [rsi]
vcmpltps ymm1, ymm0, ymm7
vmovmskps eax, ymm1
popcnt eax, eax
add edx, eax
add rsi, 32
dec rcx
jne L
