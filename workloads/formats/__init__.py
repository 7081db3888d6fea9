"""Readers of the files that weights come in: strict, memory-mapped, and nothing is executed."""
