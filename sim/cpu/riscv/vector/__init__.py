"""The vector extension: its instructions, registers, and what each instruction does to them."""
