# C = A B for four or more rows of A with the vector extension: float32, blocked and packed as in
# gemm.s, whose `gemm_pack` packs A. A tile is four rows by a panel of as many columns as a group of
# four registers holds; its sums take sixteen registers while the block's k goes by, and each
# element of A is a scalar operand. The last panel may be narrower: its own call, for its rows are.

# `gemm_tiles_vector` writes C, `gemm_tiles_add_vector` adds to what stands there: for every block
# of k but the first.
# a0 -> packed A; a1 -> B's first panel, at the block's first k; a2 -> C; a3 groups of four rows;
# a4 columns; a5 = k of the block; a6 bytes from panel to panel; a7 bytes from a row of C to the
# next. The columns are whole panels, or fewer than one.
gemm_tiles_add_vector:
    li      t0, 1
    j       gemm_vector_begin
gemm_tiles_vector:
    li      t0, 0
gemm_vector_begin:
    beqz    a3, gemm_vector_end
    beqz    a4, gemm_vector_end
    beqz    a5, gemm_vector_end
    slli    a5, a5, 4           # bytes of four packed rows of A
gemm_vector_panel:
    vsetvli t2, a4, e32, m4, ta, ma
    sub     a4, a4, t2
    slli    t2, t2, 2           # bytes of a panel's row
    mv      t1, a0              # walks the block of A
    mv      t6, a2              # the tile in C
    mv      t5, a3              # groups of rows left
gemm_vector_tile:
    mv      t3, a1              # walks the panel
    beqz    t0, gemm_vector_zero
    vle32.v v16, (t6)
    add     t4, t6, a7
    vle32.v v20, (t4)
    add     t4, t4, a7
    vle32.v v24, (t4)
    add     t4, t4, a7
    vle32.v v28, (t4)
    j       gemm_vector_rows
gemm_vector_zero:
    vmv.v.i v16, 0
    vmv.v.i v20, 0
    vmv.v.i v24, 0
    vmv.v.i v28, 0
gemm_vector_rows:
    add     t4, t1, a5          # end of the four rows
gemm_vector_k:                  # an outer product: each loaded row of B is used four times
    vle32.v v8, (t3)
    flw     f0, 0(t1)
    flw     f1, 4(t1)
    vfmacc.vf v16, f0, v8       # while one takes the unit, the next one's scalar is loaded
    flw     f2, 8(t1)
    add     t3, t3, t2
    vfmacc.vf v20, f1, v8
    flw     f3, 12(t1)
    addi    t1, t1, 16
    vfmacc.vf v24, f2, v8
    vfmacc.vf v28, f3, v8
    bne     t1, t4, gemm_vector_k
gemm_vector_store:
    vse32.v v16, (t6)
    add     t6, t6, a7
    vse32.v v20, (t6)
    add     t6, t6, a7
    vse32.v v24, (t6)
    add     t6, t6, a7
    vse32.v v28, (t6)
    add     t6, t6, a7          # the next tile
    addi    t5, t5, -1
    bnez    t5, gemm_vector_tile
gemm_vector_next:
    add     a1, a1, a6
    add     a2, a2, t2
    bnez    a4, gemm_vector_panel
gemm_vector_end:
    ret
