"""IFEval's instructions, each a check that a program can make, after the published description (Zhou et al. 2023)."""
