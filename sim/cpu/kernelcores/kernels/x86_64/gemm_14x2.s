# Fourteen rows by two vectors of C: 28 of AVX-512's 32 registers accumulate, so that a vector of
# B that was loaded is used 14 times.
# rdi -> A, packed: a column of the block for each k; rsi -> B, packed: a row of the panel for each
# k; rax = end of B. Written for 256 bits: a literal that is a multiple of 32 counts whole vectors.
# An edge of C takes the same loop without the lines of the rows and vectors beyond it.
loop:
    vmovups      ymm28, [rsi]               # row k of the panel
    vmovups      ymm29, [rsi+32]            # vector 1
    vbroadcastss ymm30, dword ptr [rdi]     # row 0
    vfmadd231ps  ymm0, ymm30, ymm28         # row 0, vector 0
    vfmadd231ps  ymm1, ymm30, ymm29         # row 0, vector 1
    vbroadcastss ymm31, dword ptr [rdi+4]   # row 1
    vfmadd231ps  ymm2, ymm31, ymm28         # row 1, vector 0
    vfmadd231ps  ymm3, ymm31, ymm29         # row 1, vector 1
    vbroadcastss ymm30, dword ptr [rdi+8]   # row 2
    vfmadd231ps  ymm4, ymm30, ymm28         # row 2, vector 0
    vfmadd231ps  ymm5, ymm30, ymm29         # row 2, vector 1
    vbroadcastss ymm31, dword ptr [rdi+12]  # row 3
    vfmadd231ps  ymm6, ymm31, ymm28         # row 3, vector 0
    vfmadd231ps  ymm7, ymm31, ymm29         # row 3, vector 1
    vbroadcastss ymm30, dword ptr [rdi+16]  # row 4
    vfmadd231ps  ymm8, ymm30, ymm28         # row 4, vector 0
    vfmadd231ps  ymm9, ymm30, ymm29         # row 4, vector 1
    vbroadcastss ymm31, dword ptr [rdi+20]  # row 5
    vfmadd231ps  ymm10, ymm31, ymm28        # row 5, vector 0
    vfmadd231ps  ymm11, ymm31, ymm29        # row 5, vector 1
    vbroadcastss ymm30, dword ptr [rdi+24]  # row 6
    vfmadd231ps  ymm12, ymm30, ymm28        # row 6, vector 0
    vfmadd231ps  ymm13, ymm30, ymm29        # row 6, vector 1
    vbroadcastss ymm31, dword ptr [rdi+28]  # row 7
    vfmadd231ps  ymm14, ymm31, ymm28        # row 7, vector 0
    vfmadd231ps  ymm15, ymm31, ymm29        # row 7, vector 1
    vbroadcastss ymm30, dword ptr [rdi+32]  # row 8
    vfmadd231ps  ymm16, ymm30, ymm28        # row 8, vector 0
    vfmadd231ps  ymm17, ymm30, ymm29        # row 8, vector 1
    vbroadcastss ymm31, dword ptr [rdi+36]  # row 9
    vfmadd231ps  ymm18, ymm31, ymm28        # row 9, vector 0
    vfmadd231ps  ymm19, ymm31, ymm29        # row 9, vector 1
    vbroadcastss ymm30, dword ptr [rdi+40]  # row 10
    vfmadd231ps  ymm20, ymm30, ymm28        # row 10, vector 0
    vfmadd231ps  ymm21, ymm30, ymm29        # row 10, vector 1
    vbroadcastss ymm31, dword ptr [rdi+44]  # row 11
    vfmadd231ps  ymm22, ymm31, ymm28        # row 11, vector 0
    vfmadd231ps  ymm23, ymm31, ymm29        # row 11, vector 1
    vbroadcastss ymm30, dword ptr [rdi+48]  # row 12
    vfmadd231ps  ymm24, ymm30, ymm28        # row 12, vector 0
    vfmadd231ps  ymm25, ymm30, ymm29        # row 12, vector 1
    vbroadcastss ymm31, dword ptr [rdi+52]  # row 13
    vfmadd231ps  ymm26, ymm31, ymm28        # row 13, vector 0
    vfmadd231ps  ymm27, ymm31, ymm29        # row 13, vector 1
    add          rdi, 56
    add          rsi, 64
    cmp          rsi, rax
    jne          loop
