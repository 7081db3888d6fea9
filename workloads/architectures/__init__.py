"""Kinds of models: for each its configuration, its weights' shapes and its forward pass."""
