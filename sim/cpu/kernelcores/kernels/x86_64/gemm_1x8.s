# One row by eight vectors of C, as a decode step has it: every element of B is used once, so that
# loads bind and not multiply-adds; eight accumulators hide their latency.
# rdi -> A; rsi -> B, packed: a row of the panel for each k; rax = end of B. Written for 256 bits: a
# literal that is a multiple of 32 counts whole vectors.
# An edge of C takes the same loop without the lines of the rows and vectors beyond it.
loop:
    vbroadcastss ymm8, dword ptr [rdi]      # row 0
    vfmadd231ps  ymm0, ymm8, [rsi]          # row 0, vector 0
    vfmadd231ps  ymm1, ymm8, [rsi+32]       # row 0, vector 1
    vfmadd231ps  ymm2, ymm8, [rsi+64]       # row 0, vector 2
    vfmadd231ps  ymm3, ymm8, [rsi+96]       # row 0, vector 3
    vfmadd231ps  ymm4, ymm8, [rsi+128]      # row 0, vector 4
    vfmadd231ps  ymm5, ymm8, [rsi+160]      # row 0, vector 5
    vfmadd231ps  ymm6, ymm8, [rsi+192]      # row 0, vector 6
    vfmadd231ps  ymm7, ymm8, [rsi+224]      # row 0, vector 7
    add          rdi, 4
    add          rsi, 256
    cmp          rsi, rax
    jne          loop
