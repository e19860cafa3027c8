"""Documentation whose outputs are produced, not typed (``outputs``)."""
