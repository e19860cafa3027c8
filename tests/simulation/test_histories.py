"""Histories of whole deployments, made from seeds, with an oracle that looks at every write.

More of them: `make simulate N=5000`. One of them: `make simulate SEED=123`.
"""

from __future__ import annotations

import pytest

from localcloud.world import Switches
from simulation.command import Summary, summary_of
from simulation.oracle.watching import RULES
from simulation.stories import FAULTS, KINDS, PLACES, SWITCHES

REACHING = 150
"""So many histories together meet everything that can happen."""

CHUNKS, CHUNK = 15, 10


def assert_sound(summary: Summary) -> None:
    assert not summary.broken, "\n".join(f"make simulate SEED={seed}: {why}" for seed, why in summary.broken)


@pytest.mark.parametrize("first", range(1 + REACHING, 1 + REACHING + CHUNKS * CHUNK, CHUNK))
def test_no_history_breaks_a_rule(first: int) -> None:
    """Whatever happens, in whatever order, the rules of the design hold."""
    assert_sound(summary_of(range(first, first + CHUNK)))


def test_histories_meet_everything_that_can_happen() -> None:
    """Every kind of step, every place to die, every fault, every position of every switch, every rule."""
    summary = summary_of(range(1, 1 + REACHING))
    assert_sound(summary)
    expected = {
        *(f"step:{kind}" for kind in KINDS),
        *(f"dies:{place}" for place in PLACES),
        *(f"fault:{kind}" for kind in FAULTS),
        *(f"switch:{key}={position}" for key, positions in SWITCHES.items() for position in positions),
        *(f"rule:{rule}" for rule in RULES if rule not in NOT_COUNTED),
        *(f"start:{function}" for function in ("apply", "image", "membership", "reconcile", "worker")),
        "together",
        "died",
    }
    assert not {each for each in expected if not summary.seen[each]}


NOT_COUNTED = {"modes are kept", "whoever is wanted keeps access"}
"""Rules that are looked at together with another, or too seldom for so few histories."""


OF_PERMISSIONS = {"access_denied_detail", "root_assumes_roles"}
"""Nobody lacks a permission in these histories; tests/localcloud/test_permissions.py asks both."""


def test_every_switch_of_the_local_cloud_is_tried() -> None:
    """A question that the vendor leaves open and that is not asked here would be answered by luck."""
    assert set(SWITCHES) | OF_PERMISSIONS == set(Switches.__struct_fields__)
