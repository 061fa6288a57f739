"""Measures a reward engine against pairs of which the better answer is known: reading them, grading them, the score, and what a run demands of it."""
