"""SCALE-Sim's files: its configurations and topologies in, its reports and traces out."""
