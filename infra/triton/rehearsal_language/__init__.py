"""What the rehearsal models say and how they grade: pure Python, no Triton, no numpy; also importable where no server runs."""
