.intel_syntax noprefix
L:
vmovd xmm0, dword ptr [rsi]
vpinsrd xmm0, xmm0, dword ptr [rsi+8], 1
vpinsrd xmm0, xmm0, dword ptr [rsi+16], 2
vpaddd xmm1, xmm1, xmm0
vpextrd dword ptr [rdi], xmm1, 1
add rsi, 32
dec rcx
jne L
