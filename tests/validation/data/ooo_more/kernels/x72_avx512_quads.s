.intel_syntax noprefix
L:
vmovdqu64 ymm0, [rsi]
vpmaxsq ymm1, ymm1, ymm0
vprold ymm2, ymm0, 3
vpaddq ymm3, ymm3, ymm2
vpabsq ymm4, ymm0
add rsi, 32
dec rcx
jne L
