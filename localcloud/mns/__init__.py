"""Simple Message Queue (MNS): messages that reached a topic or a queue."""
