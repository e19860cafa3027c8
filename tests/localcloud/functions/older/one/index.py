"""A function of Function Compute 2.0 for tests: says who it is."""

from typing import Any

STARTED: list[str] = []


def initialize(context: Any) -> None:
    """Counts how often it is called."""
    STARTED.append(context.request_id)


def handler(event: bytes, context: Any) -> dict[str, Any]:
    """Say who it is."""
    return {"function": context.function.name, "service": context.service.name, "started": len(STARTED)}
