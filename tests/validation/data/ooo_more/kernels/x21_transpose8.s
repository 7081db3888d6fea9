# x21_transpose8
.intel_syntax noprefix
l:
vmovups ymm0, [rsi]
vmovups ymm1, [rsi+32]
vmovups ymm2, [rsi+64]
vmovups ymm3, [rsi+96]
vunpcklps ymm4, ymm0, ymm1
vunpckhps ymm5, ymm0, ymm1
vunpcklps ymm6, ymm2, ymm3
vunpckhps ymm7, ymm2, ymm3
vshufps ymm8, ymm4, ymm6, 68
vshufps ymm9, ymm4, ymm6, 238
vperm2f128 ymm10, ymm8, ymm9, 32
vperm2f128 ymm11, ymm8, ymm9, 49
vmovups [rdi], ymm10
vmovups [rdi+32], ymm11
vmovups [rdi+64], ymm5
vmovups [rdi+96], ymm7
add rsi, 128
add rdi, 128
dec rcx
jnz l
