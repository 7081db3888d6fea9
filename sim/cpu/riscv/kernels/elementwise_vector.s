# Element by element with the vector extension, float32.

# Residual: a0 -> x; a1 -> y; a2 -> x + y; a3 elements.
residual_add_vector:
    beqz    a3, residual_add_vector_end
residual_add_vector_strip:
    vsetvli t1, a3, e32, m8, ta, ma
    vle32.v v8, (a0)
    vle32.v v16, (a1)
    sub     a3, a3, t1
    slli    t2, t1, 2
    add     a0, a0, t2
    add     a1, a1, t2
    vfadd.vv v8, v8, v16
    vse32.v v8, (a2)
    add     a2, a2, t2
    bnez    a3, residual_add_vector_strip
residual_add_vector_end:
    ret

# SwiGLU: a0 -> gate; a1 -> up; a2 -> gate / (1 + exp(-gate)) * up; a3 elements.
swiglu_vector:
    beqz    a3, swiglu_vector_end
    jal     t0, exp_constants
swiglu_vector_strip:
    vsetvli t1, a3, e32, m4, ta, ma
    vle32.v v28, (a0)
    sub     a3, a3, t1
    slli    t2, t1, 2
    add     a0, a0, t2
    vfneg.v v4, v28
    jal     t0, exp_vector
    vle32.v v4, (a1)
    vfadd.vf v20, v20, f25      # 1, of the exponential's constants
    vfdiv.vv v20, v28, v20
    add     a1, a1, t2
    vfmul.vv v20, v20, v4
    vse32.v v20, (a2)
    add     a2, a2, t2
    bnez    a3, swiglu_vector_strip
swiglu_vector_end:
    ret

# GELU in GPT-2's form: a0 -> x; a1 -> x/2 (1 + tanh(u)), u = sqrt(2/pi) (x + 0.044715 x^3);
# a2 elements. Half of 1 + tanh(u) is 1 / (1 + exp(-2u)).
gelu_vector:
    beqz    a2, gelu_vector_end
    jal     t0, exp_constants
    la      t1, gelu_vector_table
    flw     f11, 0(t1)          # -2 sqrt(2/pi)
    flw     f12, 4(t1)          # 0.044715 of that
gelu_vector_strip:
    vsetvli t1, a2, e32, m4, ta, ma
    vle32.v v28, (a0)
    sub     a2, a2, t1
    slli    t2, t1, 2
    add     a0, a0, t2
    vfmul.vv v4, v28, v28
    vfmv.v.f v8, f11
    vfmacc.vf v8, f12, v4
    vfmul.vv v4, v8, v28        # -2u
    jal     t0, exp_vector
    vfadd.vf v20, v20, f25      # 1, of the exponential's constants
    vfdiv.vv v20, v28, v20
    vse32.v v20, (a1)
    add     a1, a1, t2
    bnez    a2, gelu_vector_strip
gelu_vector_end:
    ret

.data
.align 6
gelu_vector_table:
    .float -1.5957691216, -0.0713548163
.text
