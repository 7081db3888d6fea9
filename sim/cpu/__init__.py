"""The CPU family: instructions, an in-order pipeline, kernels, and several cores."""
