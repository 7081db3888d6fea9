# Six rows by two vectors of C: 12 accumulators hide a multiply-add's latency on two units, and
# with two vectors of B and two elements of A they fill the 16 registers of AVX2.
# rdi -> A, packed: a column of the block for each k; rsi -> B, packed: a row of the panel for each
# k; rax = end of B. Written for 256 bits: a literal that is a multiple of 32 counts whole vectors.
# An edge of C takes the same loop without the lines of the rows and vectors beyond it.
loop:
    vmovups      ymm12, [rsi]               # row k of the panel
    vmovups      ymm13, [rsi+32]            # vector 1
    vbroadcastss ymm14, dword ptr [rdi]     # row 0
    vfmadd231ps  ymm0, ymm14, ymm12         # row 0, vector 0
    vfmadd231ps  ymm1, ymm14, ymm13         # row 0, vector 1
    vbroadcastss ymm15, dword ptr [rdi+4]   # row 1
    vfmadd231ps  ymm2, ymm15, ymm12         # row 1, vector 0
    vfmadd231ps  ymm3, ymm15, ymm13         # row 1, vector 1
    vbroadcastss ymm14, dword ptr [rdi+8]   # row 2
    vfmadd231ps  ymm4, ymm14, ymm12         # row 2, vector 0
    vfmadd231ps  ymm5, ymm14, ymm13         # row 2, vector 1
    vbroadcastss ymm15, dword ptr [rdi+12]  # row 3
    vfmadd231ps  ymm6, ymm15, ymm12         # row 3, vector 0
    vfmadd231ps  ymm7, ymm15, ymm13         # row 3, vector 1
    vbroadcastss ymm14, dword ptr [rdi+16]  # row 4
    vfmadd231ps  ymm8, ymm14, ymm12         # row 4, vector 0
    vfmadd231ps  ymm9, ymm14, ymm13         # row 4, vector 1
    vbroadcastss ymm15, dword ptr [rdi+20]  # row 5
    vfmadd231ps  ymm10, ymm15, ymm12        # row 5, vector 0
    vfmadd231ps  ymm11, ymm15, ymm13        # row 5, vector 1
    add          rdi, 24
    add          rsi, 64
    cmp          rsi, rax
    jne          loop
