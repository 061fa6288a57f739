"""Two releases or runs beside each other: counts, score shifts, drop reasons, overlap, and what their recipes say differently."""
