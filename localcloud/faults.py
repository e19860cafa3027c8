"""Failures on demand, for clients that claim to survive them.

Each fault of the world counts the calls that match it and strikes by its own rule; the first that strikes decides.
Faults strike only calls with a good signature that flow control let pass. `lost-answer` is the one that matters
most: the call was carried out and the client cannot know. `killed` is the same for a function, whose instance is
ended, so that nobody is left to wonder; it never strikes a call that no function made. Faults that spoil an answer
leave refusals alone, except `malformed`. `truncated-page` leaves half of the rows and the total, `empty-list` neither
rows nor total: the one shows that it lies, the other does not. In a list that is paged by token there is no total, so
neither shows it: half of the rows are missing before the token, or all of them and the token too.
"""

from __future__ import annotations

import random as random_module
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from localcloud.errors import ApiError
from localcloud.sts.models import Principal
from localcloud.world import Fault

Answer = dict[str, Any]


class FaultRule:
    """One fault and what it has counted so far."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self._calls = 0
        self._strikes = 0

    def strikes(self, operation: str, caller: Principal, region: str, random: random_module.Random) -> bool:
        """Counts this call if it matches, and says whether it is hit."""
        fault = self.fault
        matches = (
            fault.operation in (operation, "*", f"{operation.partition(':')[0]}:*")
            and fault.account in (None, caller.account)
            and fault.region in (None, region)
            and (fault.kind != "killed" or bool(caller.origin))
        )
        if not matches:
            return False
        self._calls += 1
        if fault.every is not None:
            hit = self._calls % fault.every == 0
        elif fault.times is not None:
            hit = self._calls <= fault.times
        else:
            hit = random.random() < (fault.probability or 0.0)
        self._strikes += hit
        return hit

    def refusal(self, usual: ApiError) -> ApiError:
        """The refusal of a fault of kind throttle or error: the product's usual one, or what the fault says."""
        return ApiError(self.fault.code or usual.code, self.fault.status or usual.status, usual.message)

    def spoil(self, answer: Answer, rows: str = "") -> Answer:
        """The answer as this fault leaves it: a field, rows or the total changed; others unchanged.

        `rows` is the key of the rows of a list without a total.
        """
        if self.fault.kind == "missing-field":
            fields = sorted(key for key in answer if key != "RequestId")
            if fields:
                gone = fields[(self._strikes - 1) % len(fields)]
                return {key: value for key, value in answer.items() if key != gone}
        elif self.fault.kind == "truncated-page":
            return _with_rows(answer, lambda found: found[: len(found) // 2], rows)
        elif self.fault.kind == "empty-list":
            return _without_rows(answer, rows)
        elif self.fault.kind == "wrong-total" and "TotalCount" in answer:
            wrong = answer["TotalCount"] + (1 if self._strikes % 2 else -1)
            return {**answer, "TotalCount": wrong if wrong >= 0 else 1}
        return answer


def first_strike(
    rules: Sequence[FaultRule], operation: str, caller: Principal, region: str, random: random_module.Random
) -> FaultRule | None:
    """The first fault that hits this call; every rule counts it."""
    hits = [rule for rule in rules if rule.strikes(operation, caller, region, random)]
    return hits[0] if hits else None


def _without_rows(answer: Answer, rows: str) -> Answer:
    """The answer of a list in which nothing was found."""
    empty = _with_rows(answer, lambda _: [], rows)
    if "TotalCount" in answer:
        return {**empty, "TotalCount": 0}
    return {key: value for key, value in empty.items() if key != "NextToken" or rows not in answer}


def _with_rows(answer: Answer, change: Callable[[list[Any]], list[Any]], rows: str) -> Answer:
    """The answer with other rows in its paged list; its TotalCount, or its token, stays."""
    if rows in answer:
        return {**answer, rows: change(answer[rows])}
    if "TotalCount" not in answer:
        return answer
    for key, value in answer.items():
        if isinstance(value, Mapping) and len(value) == 1:
            ((inner, found),) = value.items()
            if isinstance(found, list) and found:
                return {**answer, key: {inner: change(found)}}
    return answer
