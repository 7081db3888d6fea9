"""Caches, residency and main memory, shared by all machine families."""
