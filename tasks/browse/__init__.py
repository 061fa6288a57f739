"""A release to page through in a browser: read-only, on loopback, nothing loaded whole."""
