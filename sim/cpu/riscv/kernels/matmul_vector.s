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
