"""The commands of the command line, one module a command; only they print.

pandas, matplotlib, numpy and numba take seconds to import, so each command imports what it
needs when it runs: `--help` and errors of use answer at once.
"""
