# y = x W for one row x of float32: what a decode pass needs of a matrix product.
# Three ways to walk W, each with as many dot products side by side as hide the adder's latency.

# Four neighbouring columns at a time, each group of them k rows long.
# a0 -> x; a1 -> W; a2 -> y; a3 groups of four columns; a4 = k;
# a5 bytes from a row of W to the next; a6 bytes from a group to the next (16 k where W is packed
# group by group, 16 where it lies row by row).
matmul_columns:
    beqz    a3, matmul_columns_end
    slli    t0, a4, 2
    add     t1, a0, t0          # end of x
matmul_columns_group:
    mv      t2, a0
    mv      t3, a1
    fmv.w.x f0, zero            # one sum a column
    fmv.w.x f1, zero
    fmv.w.x f2, zero
    fmv.w.x f3, zero
    beq     t2, t1, matmul_columns_store
matmul_columns_row:
    flw     f4, 0(t3)           # four elements of a row
    flw     f5, 4(t3)
    flw     f6, 8(t3)
    flw     f7, 12(t3)
    flw     f8, 0(t2)
    add     t3, t3, a5
    addi    t2, t2, 4
    fmadd.s f0, f8, f4, f0
    fmadd.s f1, f8, f5, f1
    fmadd.s f2, f8, f6, f2
    fmadd.s f3, f8, f7, f3
    bne     t2, t1, matmul_columns_row
matmul_columns_store:
    fsw     f0, 0(a2)
    fsw     f1, 4(a2)
    fsw     f2, 8(a2)
    fsw     f3, 12(a2)
    addi    a2, a2, 16
    add     a1, a1, a6
    addi    a3, a3, -1
    bnez    a3, matmul_columns_group
matmul_columns_end:
    ret

# One column at a time: what no group of four covers, of columns or of rows.
# As above, but a3 columns; a5 bytes between a column's elements; a6 bytes between columns.
matmul_column:
    beqz    a3, matmul_column_end
    slli    t0, a4, 2
    add     t1, a0, t0
matmul_column_next:
    mv      t2, a0
    mv      t3, a1
    fmv.w.x f0, zero
    beq     t2, t1, matmul_column_store
matmul_column_row:
    flw     f4, 0(t3)
    flw     f8, 0(t2)
    add     t3, t3, a5
    addi    t2, t2, 4
    fmadd.s f0, f8, f4, f0
    bne     t2, t1, matmul_column_row
matmul_column_store:
    fsw     f0, 0(a2)
    addi    a2, a2, 4
    add     a1, a1, a6
    addi    a3, a3, -1
    bnez    a3, matmul_column_next
matmul_column_end:
    ret

# Four rows at a time of a transposed W [n, k]: a tied embedding, or the keys of a cache.
# a0 -> x; a1 -> W; a2 -> y; a3 groups of four rows; a4 = k; a5 bytes from a row to the next.
matmul_rows:
    beqz    a3, matmul_rows_end
    andi    t0, a4, -4
    slli    t0, t0, 2
    add     a7, a0, t0          # end of x's whole fours
    slli    t0, a4, 2
    add     t1, a0, t0          # end of x
matmul_rows_group:
    mv      t2, a0
    mv      t3, a1              # one pointer a row
    add     t4, t3, a5
    add     t5, t4, a5
    add     t6, t5, a5
    add     a1, t6, a5          # next group
    fmv.w.x f0, zero
    fmv.w.x f1, zero
    fmv.w.x f2, zero
    fmv.w.x f3, zero
    beq     t2, a7, matmul_rows_rest
matmul_rows_four:
    flw     f8, 0(t2)
    flw     f4, 0(t3)
    flw     f5, 0(t4)
    flw     f6, 0(t5)
    flw     f7, 0(t6)
    fmadd.s f0, f8, f4, f0
    fmadd.s f1, f8, f5, f1
    fmadd.s f2, f8, f6, f2
    fmadd.s f3, f8, f7, f3
    flw     f8, 4(t2)
    flw     f4, 4(t3)
    flw     f5, 4(t4)
    flw     f6, 4(t5)
    flw     f7, 4(t6)
    fmadd.s f0, f8, f4, f0
    fmadd.s f1, f8, f5, f1
    fmadd.s f2, f8, f6, f2
    fmadd.s f3, f8, f7, f3
    flw     f8, 8(t2)
    flw     f4, 8(t3)
    flw     f5, 8(t4)
    flw     f6, 8(t5)
    flw     f7, 8(t6)
    fmadd.s f0, f8, f4, f0
    fmadd.s f1, f8, f5, f1
    fmadd.s f2, f8, f6, f2
    fmadd.s f3, f8, f7, f3
    flw     f8, 12(t2)
    flw     f4, 12(t3)
    flw     f5, 12(t4)
    flw     f6, 12(t5)
    flw     f7, 12(t6)
    addi    t2, t2, 16
    addi    t3, t3, 16
    addi    t4, t4, 16
    addi    t5, t5, 16
    addi    t6, t6, 16
    fmadd.s f0, f8, f4, f0
    fmadd.s f1, f8, f5, f1
    fmadd.s f2, f8, f6, f2
    fmadd.s f3, f8, f7, f3
    bne     t2, a7, matmul_rows_four
matmul_rows_rest:
    beq     t2, t1, matmul_rows_store
matmul_rows_one:
    flw     f8, 0(t2)
    flw     f4, 0(t3)
    flw     f5, 0(t4)
    flw     f6, 0(t5)
    flw     f7, 0(t6)
    addi    t2, t2, 4
    addi    t3, t3, 4
    addi    t4, t4, 4
    addi    t5, t5, 4
    addi    t6, t6, 4
    fmadd.s f0, f8, f4, f0
    fmadd.s f1, f8, f5, f1
    fmadd.s f2, f8, f6, f2
    fmadd.s f3, f8, f7, f3
    j       matmul_rows_rest
matmul_rows_store:
    fsw     f0, 0(a2)
    fsw     f1, 4(a2)
    fsw     f2, 8(a2)
    fsw     f3, 12(a2)
    addi    a2, a2, 16
    addi    a3, a3, -1
    bnez    a3, matmul_rows_group
matmul_rows_end:
    ret
