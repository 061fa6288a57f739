"""Judges: which of two answers is better; one module each."""
