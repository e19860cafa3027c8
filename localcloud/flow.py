"""Flow control: so many calls of an API, an account and a region in each window.

Windows are fixed and aligned to the clock: who is refused in one window is served again in the next
(https://www.alibabacloud.com/help/doc-detail/437902.htm; limits are written `200/60(s)`,
https://alibabacloud.com/help/en/openapi/throttling-and-quota-management). The vendor publishes no numbers for the
APIs served here, so there is no limit unless the world gives one.
"""

from __future__ import annotations

from collections.abc import Mapping

from localcloud.world import Limit


class FlowControl:
    """Counts calls in the current window only."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str, str], tuple[int, int]] = {}

    def admit(self, limits: Mapping[str, Limit], operation: str, account: str, region: str, *, now: float) -> bool:
        """Whether this call may pass; a refused call counts too, but only in its own window."""
        limit = limits.get(operation)
        if limit is None:
            return True
        window = int(now // limit.window)
        key = (operation, account, region)
        seen, count = self._counts.get(key, (window, 0))
        count = count + 1 if seen == window else 1
        self._counts[key] = (window, count)
        return count <= limit.limit
