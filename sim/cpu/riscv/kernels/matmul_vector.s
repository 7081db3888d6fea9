# y = x W for one row x of float32, W [k, n] row by row, with the vector extension.
# Strips of y as long as a group of eight registers holds: the sums of a strip stay in registers
# while its rows of W stream by, and each element of x is a scalar operand.
# a0 -> x; a1 -> W; a2 -> y; a3 = n; a4 = k; a5 bytes from a row of W to the next.
matmul_vector:
    slli    t0, a4, 2
    add     t1, a0, t0          # end of x
matmul_vector_strip:
    beqz    a3, matmul_vector_end
    vsetvli t0, a3, e32, m8, ta, ma
    mv      t2, a0
    mv      t3, a1
    vmv.v.i v8, 0               # the sums
    beq     t2, t1, matmul_vector_store
matmul_vector_row:
    flw     f0, 0(t2)
    vle32.v v16, (t3)
    addi    t2, t2, 4
    add     t3, t3, a5
    vfmacc.vf v8, f0, v16
    bne     t2, t1, matmul_vector_row
matmul_vector_store:
    vse32.v v8, (a2)
    slli    t4, t0, 2           # bytes of the strip
    add     a1, a1, t4
    add     a2, a2, t4
    sub     a3, a3, t0
    j       matmul_vector_strip
matmul_vector_end:
    ret

# The same of a W that lies packed: panels of as many columns as a group of four registers holds,
# each k rows long, the last one narrower. W is then walked from its first byte to its last.
# a0 -> x; a1 -> W; a2 -> y; a3 = n; a4 = k.
matmul_panels_vector:
    beqz    a3, matmul_panels_vector_end
    slli    t0, a4, 2
    add     t1, a0, t0          # end of x
    andi    t0, a4, -2
    slli    t0, t0, 2
    add     t6, a0, t0          # end of x's whole pairs
matmul_panels_vector_panel:
    vsetvli t0, a3, e32, m4, ta, ma
    slli    t4, t0, 2           # bytes of a panel's row
    mv      t2, a0
    vmv.v.i v8, 0               # the sums
    beq     t2, t6, matmul_panels_vector_rest
matmul_panels_vector_pair:
    vle32.v v16, (a1)
    flw     f0, 0(t2)
    add     a1, a1, t4
    vfmacc.vf v8, f0, v16
    vle32.v v20, (a1)
    flw     f1, 4(t2)
    add     a1, a1, t4
    addi    t2, t2, 8
    vfmacc.vf v8, f1, v20
    bne     t2, t6, matmul_panels_vector_pair
matmul_panels_vector_rest:
    beq     t2, t1, matmul_panels_vector_store
    flw     f0, 0(t2)
    vle32.v v16, (a1)
    add     a1, a1, t4
    vfmacc.vf v8, f0, v16
matmul_panels_vector_store:
    vse32.v v8, (a2)
    add     a2, a2, t4
    sub     a3, a3, t0
    bnez    a3, matmul_panels_vector_panel
matmul_panels_vector_end:
    ret

# The same of a transposed W [n, k]: a tied embedding, or the keys of a cache. Strips of a dot
# product along k, four rows at a time so that each strip of x is loaded once for them; the partial
# sums are added up once a row. A short strip must leave their tail alone: hence `tu`.
# a0 -> x; a1 -> W; a2 -> y; a3 = n; a4 = k; a5 bytes from a row to the next.
matmul_rows_vector:
    beqz    a3, matmul_rows_vector_end
    li      t6, 4
    vsetvli t0, x0, e32, m4, ta, ma
    vmv.s.x v1, x0              # 0, where each reduction begins
    blt     a3, t6, matmul_rows_vector_one
matmul_rows_vector_four:
    vsetvli t0, x0, e32, m4, ta, ma
    vmv.v.i v16, 0
    vmv.v.i v20, 0
    vmv.v.i v24, 0
    vmv.v.i v28, 0
    mv      t1, a0
    mv      t2, a1              # walks the first row
    mv      t5, a4              # of k left
    beqz    t5, matmul_rows_vector_sums
matmul_rows_vector_strip:
    vsetvli t0, t5, e32, m4, tu, ma
    vle32.v v4, (t1)
    vle32.v v8, (t2)
    add     t3, t2, a5
    vle32.v v12, (t3)
    vfmacc.vv v16, v4, v8
    add     t3, t3, a5
    vle32.v v8, (t3)
    vfmacc.vv v20, v4, v12
    add     t3, t3, a5
    vle32.v v12, (t3)
    vfmacc.vv v24, v4, v8
    slli    t4, t0, 2
    sub     t5, t5, t0
    add     t1, t1, t4
    add     t2, t2, t4
    vfmacc.vv v28, v4, v12
    bnez    t5, matmul_rows_vector_strip
matmul_rows_vector_sums:
    vsetvli t0, x0, e32, m4, ta, ma
    vfredusum.vs v2, v16, v1
    vfredusum.vs v3, v20, v1
    vfredusum.vs v4, v24, v1
    vfredusum.vs v5, v28, v1
    vfmv.f.s f0, v2
    vfmv.f.s f1, v3
    vfmv.f.s f2, v4
    vfmv.f.s f3, v5
    fsw     f0, 0(a2)
    fsw     f1, 4(a2)
    fsw     f2, 8(a2)
    fsw     f3, 12(a2)
    addi    a2, a2, 16
    slli    t4, a5, 2
    add     a1, a1, t4
    addi    a3, a3, -4
    bge     a3, t6, matmul_rows_vector_four
    beqz    a3, matmul_rows_vector_end
matmul_rows_vector_one:         # what no group of four covers
    vsetvli t0, x0, e32, m4, ta, ma
    vmv.v.i v16, 0
    mv      t1, a0
    mv      t2, a1
    mv      t5, a4
    beqz    t5, matmul_rows_vector_sum
matmul_rows_vector_short:
    vsetvli t0, t5, e32, m4, tu, ma
    vle32.v v4, (t1)
    vle32.v v8, (t2)
    slli    t4, t0, 2
    sub     t5, t5, t0
    add     t1, t1, t4
    add     t2, t2, t4
    vfmacc.vv v16, v4, v8
    bnez    t5, matmul_rows_vector_short
matmul_rows_vector_sum:
    vsetvli t0, x0, e32, m4, ta, ma
    vfredusum.vs v2, v16, v1
    vfmv.f.s f0, v2
    fsw     f0, 0(a2)
    addi    a2, a2, 4
    add     a1, a1, a5
    addi    a3, a3, -1
    bnez    a3, matmul_rows_vector_one
matmul_rows_vector_end:
    ret
