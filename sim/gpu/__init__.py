"""The GPU family: kernels launched by a host, thread blocks in waves over many SMs."""
