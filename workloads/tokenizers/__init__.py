"""Vocabularies of real models: text to token numbers and back."""
