# Two by two tiles of C, 32 rows by 32 columns: four accumulators hide the latency of a product of
# tiles, and each tile of A and of B that was loaded is used twice.
# A step is 32 bfloat16 numbers along k: a tile's row of 64 bytes.
# rdi -> A, as it is: rows r8 bytes apart; rdx -> A, 16 rows further down.
# rsi -> B, packed: for each step the panel's tiles, 16 rows of 64 bytes, in which a row holds two
# neighbouring k of 16 columns, pair by pair; r9 = 64; rax = end of B.
# An edge of C takes the same loop without the lines of the tiles beyond it.
loop:
    tileloadd tmm4, [rdi+r8]                # row 0
    tileloadd tmm6, [rsi+r9]                # vector 0
    tileloadd tmm7, [rsi+r9+1024]           # vector 1
    tdpbf16ps tmm0, tmm4, tmm6              # row 0, vector 0
    tdpbf16ps tmm1, tmm4, tmm7              # row 0, vector 1
    tileloadd tmm5, [rdx+r8]                # row 1
    tdpbf16ps tmm2, tmm5, tmm6              # row 1, vector 0
    tdpbf16ps tmm3, tmm5, tmm7              # row 1, vector 1
    add       rdi, 64
    add       rdx, 64                       # row 1
    add       rsi, 2048
    cmp       rsi, rax
    jne       loop
