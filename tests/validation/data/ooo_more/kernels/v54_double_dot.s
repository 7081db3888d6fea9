L:
fld fa0, 0(a0)
fld fa1, 8(a0)
fld fa2, 0(a1)
fld fa3, 8(a1)
fmadd.d fa4, fa0, fa2, fa4
fmadd.d fa5, fa1, fa3, fa5
addi a0, a0, 16
addi a1, a1, 16
bgtu a2, a0, L
