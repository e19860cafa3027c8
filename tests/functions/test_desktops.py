"""Images of Elastic Desktop Service in what the template deploys: a worker of their own for all regions of an owner."""

from __future__ import annotations

from tests.support.channels import directly
from tests.support.deployed import Deployed, deployed, template_policies
from tests.support.granted import RUNNER
from tests.support.trial import OWNER, REGION, A, B, C, rule

DESKS = {"m-desk-1": RUNNER, "m-desk-2": RUNNER, "m-desk-3": OWNER}


def have(d: Deployed) -> dict[str, set[str]]:
    return {image: accounts for image, accounts in directly(d).items() if image in DESKS}


def everywhere(*accounts: str) -> dict[str, set[str]]:
    return {image: set(accounts) for image in DESKS}


def test_sweeps_and_watches_reach_them_also_when_no_rule_speaks_of_them_any_more() -> None:
    """A sweep shares, a watch finds who joined, and what the policy dropped is held until a person approves."""
    with deployed("template.yml", template_policies("template.yml")) as d:
        d.begin()
        for image, owner in DESKS.items():
            d.patch(images={image: {"service": "eds", "owner": owner, "region": REGION, "name": image}})
        d.want(rule(), rule("desks", {"service": "eds", "name": "m-desk-*"}))
        d.sweep()
        assert have(d) == everywhere(A, B)
        d.move(C, "fd-prod")
        d.watch()
        assert have(d) == everywhere(A, B, C)
        d.want(rule())
        d.watch()
        d.sweep()
        assert have(d) == everywhere(A, B, C)
        d.approve_all()
        d.watch()
        assert have(d) == everywhere()
        assert directly(d)["m-gold"] == {A, B, C}
        assert d.troubles() == []
