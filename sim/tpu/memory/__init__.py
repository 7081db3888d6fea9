"""Around the arrays: operand SRAMs, what has to be moved for each block, and the mapper."""
