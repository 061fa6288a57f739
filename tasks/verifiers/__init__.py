"""Verifiers: is an answer right; one module each."""
