"""Data contracts: records, recipe, model cards, the engine protocol, errors. Imports nothing of ours."""
