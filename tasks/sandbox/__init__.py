"""Processes apart for what can't be trusted to end, or to be kind: a jail for models' programs, and a guarded comparer of expressions."""
