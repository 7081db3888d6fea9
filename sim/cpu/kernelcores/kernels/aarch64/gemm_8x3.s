// Eight rows by three vectors of C: 24 accumulators, three vectors of B and two of A in the 32
// registers of NEON.
// x0 -> A, packed: a column of the block for each k; x1 -> B, packed: a row of the panel for each;
// x2 = end of B.
// An edge of C takes the same loop without the lines of the rows and vectors beyond it.
loop:
    ldr  q24, [x1]                      // row k of the panel
    ldr  q25, [x1, #16]                 // vector 1
    ldr  q26, [x1, #32]                 // vector 2
    ldr  q27, [x0]                      // row 0
    ldr  q28, [x0, #16]                 // row 4
    fmla v0.4s, v24.4s, v27.s[0]        // row 0, vector 0
    fmla v1.4s, v25.4s, v27.s[0]        // row 0, vector 1
    fmla v2.4s, v26.4s, v27.s[0]        // row 0, vector 2
    fmla v3.4s, v24.4s, v27.s[1]        // row 1, vector 0
    fmla v4.4s, v25.4s, v27.s[1]        // row 1, vector 1
    fmla v5.4s, v26.4s, v27.s[1]        // row 1, vector 2
    fmla v6.4s, v24.4s, v27.s[2]        // row 2, vector 0
    fmla v7.4s, v25.4s, v27.s[2]        // row 2, vector 1
    fmla v8.4s, v26.4s, v27.s[2]        // row 2, vector 2
    fmla v9.4s, v24.4s, v27.s[3]        // row 3, vector 0
    fmla v10.4s, v25.4s, v27.s[3]       // row 3, vector 1
    fmla v11.4s, v26.4s, v27.s[3]       // row 3, vector 2
    fmla v12.4s, v24.4s, v28.s[0]       // row 4, vector 0
    fmla v13.4s, v25.4s, v28.s[0]       // row 4, vector 1
    fmla v14.4s, v26.4s, v28.s[0]       // row 4, vector 2
    fmla v15.4s, v24.4s, v28.s[1]       // row 5, vector 0
    fmla v16.4s, v25.4s, v28.s[1]       // row 5, vector 1
    fmla v17.4s, v26.4s, v28.s[1]       // row 5, vector 2
    fmla v18.4s, v24.4s, v28.s[2]       // row 6, vector 0
    fmla v19.4s, v25.4s, v28.s[2]       // row 6, vector 1
    fmla v20.4s, v26.4s, v28.s[2]       // row 6, vector 2
    fmla v21.4s, v24.4s, v28.s[3]       // row 7, vector 0
    fmla v22.4s, v25.4s, v28.s[3]       // row 7, vector 1
    fmla v23.4s, v26.4s, v28.s[3]       // row 7, vector 2
    add  x0, x0, #32
    add  x1, x1, #48
    cmp  x1, x2
    b.ne loop
