"""The TPU family: systolic arrays, a vector unit and a scratchpad that DMA fills."""
