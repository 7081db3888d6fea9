.intel_syntax noprefix
L:
vcvtps2pd ymm0, xmmword ptr [rsi]
vcvtps2pd ymm1, xmmword ptr [rsi+16]
vaddpd ymm2, ymm2, ymm0
vaddpd ymm3, ymm3, ymm1
add rsi, 32
dec rcx
jne L
