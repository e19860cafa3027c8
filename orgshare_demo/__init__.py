"""The demonstration: a story told on a local cloud."""
