"""The stages of a run, one module each, in the order of `schemas.records.STAGES`: open, map a pure function, write, commit."""
