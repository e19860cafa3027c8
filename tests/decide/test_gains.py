"""Pairs that a plan would give, each counted once, by the change that gives it."""

from __future__ import annotations

from orgshare.decide.deciding import decide
from orgshare.decide.planning import assemble
from tests.decide.sharing import row, share, shared
from tests.support.facts import rule

LONG_AGO = "2026-11-21T10:00:00Z"


def test_an_image_whose_row_is_stuck_gains_by_its_grants_alone() -> None:
    """What joins the share beside it gives that image nothing."""
    stuck = row("m-silver", "Associating", created=LONG_AGO, updated=LONG_AGO)
    of = shared([rule(folders=["fd-prod"], channel="auto")], share("1", ["m-gold", stuck], ["fd-prod", "fd-eu"]))
    changes = assemble(of, decide(of), ()).changes
    assert {(change.action, change.images, change.gained) for change in changes} == {
        ("associate", ("m-bronze",), 2),
        ("grant", ("m-silver",), 2),
    }
