"""Checks rows against their contract with Great Expectations, partition by partition."""
