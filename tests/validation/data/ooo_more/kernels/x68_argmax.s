.intel_syntax noprefix
L:
vmovups ymm0, [rsi]
vcmpgtps ymm2, ymm0, ymm7
vblendvps ymm7, ymm7, ymm0, ymm2
vblendvps ymm6, ymm6, ymm5, ymm2
vpaddd ymm5, ymm5, ymm4
add rsi, 32
dec rcx
jne L
