"""Coherent private caches: MESI and MOESI as tables, kept by a directory or by snooping a bus."""
