# C = A B for four or more rows of A: float32, blocked and packed (Goto and van de Geijn 2008; Van
# Zee and van de Geijn 2015). A block of A is packed so that a tile's loads are neighbours; it stays
# in the cache while panel after panel of B, packed once beforehand, goes by. The caller's two loops
# are over blocks of k and blocks of rows; here are the loops over panels, tiles and k.

# Pack rows of A, four at a time: for each k the four rows' elements side by side.
# a0 -> A; a1 -> packed A; a2 groups of four rows; a3 = k of the block; a4 bytes from row to row.
gemm_pack:
    beqz    a2, gemm_pack_end
    beqz    a3, gemm_pack_end
    slli    a3, a3, 2
gemm_pack_group:
    mv      t0, a0              # one pointer a row
    add     t1, t0, a4
    add     t2, t1, a4
    add     t3, t2, a4
    add     a0, t3, a4          # next group
    add     t4, t0, a3          # end of the first row's part
gemm_pack_next:
    flw     f0, 0(t0)
    flw     f1, 0(t1)
    flw     f2, 0(t2)
    flw     f3, 0(t3)
    addi    t0, t0, 4
    addi    t1, t1, 4
    addi    t2, t2, 4
    addi    t3, t3, 4
    fsw     f0, 0(a1)
    fsw     f1, 4(a1)
    fsw     f2, 8(a1)
    fsw     f3, 12(a1)
    addi    a1, a1, 16
    bne     t0, t4, gemm_pack_next
gemm_pack_more:
    addi    a2, a2, -1
    bnez    a2, gemm_pack_group
gemm_pack_end:
    ret

# All tiles of 4 x 4 of a packed block of A and the panels of B. `gemm_tiles` writes C,
# `gemm_tiles_add` adds to what stands there: for every block of k but the first.
# a0 -> packed A; a1 -> B's first panel, at the block's first k; a2 -> C; a3 groups of four rows;
# a4 panels; a5 = k of the block; a6 bytes from panel to panel; a7 bytes from a row of C to the next.
gemm_tiles_add:
    li      t0, 1
    j       gemm_begin
gemm_tiles:
    li      t0, 0
gemm_begin:
    beqz    a3, gemm_end
    beqz    a4, gemm_end
    beqz    a5, gemm_end
    slli    a5, a5, 4           # bytes of a panel's part
gemm_panel:
    mv      t1, a0              # walks the block of A
    mv      t6, a2              # the tile in C
    mv      t5, a3              # groups of rows left
    add     t2, a1, a5          # end of the panel's part
gemm_tile:
    mv      t3, a1
    beqz    t0, gemm_zero
gemm_load:
    mv      t4, t6
    flw     f0, 0(t4)
    flw     f1, 4(t4)
    flw     f2, 8(t4)
    flw     f3, 12(t4)
    add     t4, t4, a7
    flw     f4, 0(t4)
    flw     f5, 4(t4)
    flw     f6, 8(t4)
    flw     f7, 12(t4)
    add     t4, t4, a7
    flw     f8, 0(t4)
    flw     f9, 4(t4)
    flw     f10, 8(t4)
    flw     f11, 12(t4)
    add     t4, t4, a7
    flw     f12, 0(t4)
    flw     f13, 4(t4)
    flw     f14, 8(t4)
    flw     f15, 12(t4)
    j       gemm_k
gemm_zero:
    fmv.w.x f0, zero
    fmv.w.x f1, zero
    fmv.w.x f2, zero
    fmv.w.x f3, zero
    fmv.w.x f4, zero
    fmv.w.x f5, zero
    fmv.w.x f6, zero
    fmv.w.x f7, zero
    fmv.w.x f8, zero
    fmv.w.x f9, zero
    fmv.w.x f10, zero
    fmv.w.x f11, zero
    fmv.w.x f12, zero
    fmv.w.x f13, zero
    fmv.w.x f14, zero
    fmv.w.x f15, zero
gemm_k:                         # an outer product: each loaded element is used four times
    flw     f16, 0(t3)          # row k of the panel
    flw     f17, 4(t3)
    flw     f18, 8(t3)
    flw     f19, 12(t3)
    flw     f20, 0(t1)          # column k of the four rows
    flw     f21, 4(t1)
    flw     f22, 8(t1)
    flw     f23, 12(t1)
    addi    t3, t3, 16
    addi    t1, t1, 16
    fmadd.s f0, f20, f16, f0
    fmadd.s f1, f20, f17, f1
    fmadd.s f2, f20, f18, f2
    fmadd.s f3, f20, f19, f3
    fmadd.s f4, f21, f16, f4
    fmadd.s f5, f21, f17, f5
    fmadd.s f6, f21, f18, f6
    fmadd.s f7, f21, f19, f7
    fmadd.s f8, f22, f16, f8
    fmadd.s f9, f22, f17, f9
    fmadd.s f10, f22, f18, f10
    fmadd.s f11, f22, f19, f11
    fmadd.s f12, f23, f16, f12
    fmadd.s f13, f23, f17, f13
    fmadd.s f14, f23, f18, f14
    fmadd.s f15, f23, f19, f15
    bne     t3, t2, gemm_k
gemm_store:
    fsw     f0, 0(t6)
    fsw     f1, 4(t6)
    fsw     f2, 8(t6)
    fsw     f3, 12(t6)
    add     t6, t6, a7
    fsw     f4, 0(t6)
    fsw     f5, 4(t6)
    fsw     f6, 8(t6)
    fsw     f7, 12(t6)
    add     t6, t6, a7
    fsw     f8, 0(t6)
    fsw     f9, 4(t6)
    fsw     f10, 8(t6)
    fsw     f11, 12(t6)
    add     t6, t6, a7
    fsw     f12, 0(t6)
    fsw     f13, 4(t6)
    fsw     f14, 8(t6)
    fsw     f15, 12(t6)
    add     t6, t6, a7          # the next tile
    addi    t5, t5, -1
    bnez    t5, gemm_tile
gemm_next:
    add     a1, a1, a6
    addi    a2, a2, 16
    addi    a4, a4, -1
    bnez    a4, gemm_panel
gemm_end:
    ret

.data
.align 6
gemm_packed:                    # a block of A: 16 rows, k of 128
    .zero 8192
.text
