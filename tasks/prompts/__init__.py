"""Prompt techniques: one module each, found by its name in a recipe."""
