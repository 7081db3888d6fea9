# Element by element, float32.

# Residual: a0 -> x; a1 -> y; a2 -> x + y; a3 elements.
residual_add:
    beqz    a3, residual_add_end
    slli    a3, a3, 2
    add     a3, a0, a3
residual_add_next:
    flw     f0, 0(a0)
    flw     f1, 0(a1)
    addi    a0, a0, 4
    addi    a1, a1, 4
    fadd.s  f0, f0, f1
    fsw     f0, 0(a2)
    addi    a2, a2, 4
    bne     a0, a3, residual_add_next
residual_add_end:
    ret

# SwiGLU: a0 -> gate; a1 -> up; a2 -> gate / (1 + exp(-gate)) * up; a3 elements.
swiglu:
    beqz    a3, swiglu_end
    jal     t0, exp_constants
    slli    a3, a3, 2
    add     a3, a0, a3
swiglu_next:
    flw     f8, 0(a0)
    flw     f9, 0(a1)
    addi    a0, a0, 4
    addi    a1, a1, 4
    fneg.s  fa0, f8
    jal     t0, exp
    fadd.s  fa0, fa0, f25       # 1, of the exponential's constants
    fdiv.s  fa0, f8, fa0
    fmul.s  fa0, fa0, f9
    fsw     fa0, 0(a2)
    addi    a2, a2, 4
    bne     a0, a3, swiglu_next
swiglu_end:
    ret

# GELU in GPT-2's form: a0 -> x; a1 -> x/2 (1 + tanh(u)), u = sqrt(2/pi) (x + 0.044715 x^3);
# a2 elements. Half of 1 + tanh(u) is 1 / (1 + exp(-2u)).
gelu:
    beqz    a2, gelu_end
    jal     t0, exp_constants
    la      t1, gelu_table
    flw     f11, 0(t1)          # -2 sqrt(2/pi)
    flw     f12, 4(t1)          # 0.044715 of that
    slli    a2, a2, 2
    add     a2, a0, a2
gelu_next:
    flw     f8, 0(a0)
    addi    a0, a0, 4
    fmul.s  f9, f8, f8
    fmadd.s f9, f9, f12, f11
    fmul.s  fa0, f9, f8         # -2u
    jal     t0, exp
    fadd.s  fa0, fa0, f25       # 1, of the exponential's constants
    fdiv.s  fa0, f8, fa0
    fsw     fa0, 0(a1)
    addi    a1, a1, 4
    bne     a0, a2, gelu_next
gelu_end:
    ret

.data
.align 6
gelu_table:
    .float -1.5957691216, -0.0713548163
.text
