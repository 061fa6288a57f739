"""Units of work: techniques, filters, judges and verifiers as pure functions, and the stages that put them to work."""
