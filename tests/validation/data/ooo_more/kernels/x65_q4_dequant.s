.intel_syntax noprefix
L:
vpmovzxbd ymm0, qword ptr [rsi]
vpand ymm1, ymm0, ymm7
vpsrld ymm2, ymm0, 4
vcvtdq2ps ymm1, ymm1
vcvtdq2ps ymm2, ymm2
vfmadd213ps ymm1, ymm6, ymm5
vfmadd213ps ymm2, ymm6, ymm5
vmovups [rdi], ymm1
vmovups [rdi+32], ymm2
add rsi, 8
add rdi, 64
dec rcx
jne L
