"""One file a migration; each is frozen once released."""
