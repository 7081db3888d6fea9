"""Caches line by line: readable, compiled, and counted as peers count."""
