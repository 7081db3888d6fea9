// One row by eight vectors of C, as a decode step has it: every element of B is used once.
// x0 -> A, packed: a column of the block for each k; x1 -> B, packed: a row of the panel for each;
// x2 = end of B.
// An edge of C takes the same loop without the lines of the rows and vectors beyond it.
loop:
    ldr  q8, [x1]                       // row k of the panel
    ldr  q9, [x1, #16]                  // vector 1
    ldr  q10, [x1, #32]                 // vector 2
    ldr  q11, [x1, #48]                 // vector 3
    ldr  q12, [x1, #64]                 // vector 4
    ldr  q13, [x1, #80]                 // vector 5
    ldr  q14, [x1, #96]                 // vector 6
    ldr  q15, [x1, #112]                // vector 7
    ldr  s16, [x0]                      // row 0
    fmla v0.4s, v8.4s, v16.s[0]         // row 0, vector 0
    fmla v1.4s, v9.4s, v16.s[0]         // row 0, vector 1
    fmla v2.4s, v10.4s, v16.s[0]        // row 0, vector 2
    fmla v3.4s, v11.4s, v16.s[0]        // row 0, vector 3
    fmla v4.4s, v12.4s, v16.s[0]        // row 0, vector 4
    fmla v5.4s, v13.4s, v16.s[0]        // row 0, vector 5
    fmla v6.4s, v14.4s, v16.s[0]        // row 0, vector 6
    fmla v7.4s, v15.4s, v16.s[0]        // row 0, vector 7
    add  x0, x0, #4
    add  x1, x1, #128
    cmp  x1, x2
    b.ne loop
