"""Orchestration only: order, fan-out, retries. Each file holds nothing but @flow functions."""
