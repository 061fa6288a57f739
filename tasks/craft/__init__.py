"""What prompt and response techniques have in common: asking for lists, building records, turns, seed files."""
