"""The demonstration: a day of an organization, told step by step on a local cloud.

After each step the story says what changed for whom, as the local cloud's oracle finds it, and compares that with a
reference that is no part of the program (``reference``). At the end every pair of image and account must be as the
policy says, or the story fails.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.rule import Rule
from rich.text import Text

from orgshare.errors import OrgshareError
from orgshare_demo.reference import wanted_access
from orgshare_demo.stage import Pair, Stage, set_up, settings_of, without_ambient
from orgshare_demo.telling import Names, console, differences, everybody, organization

GOLD = "m-gold0000000000000001"
WINDOWS = "m-gold0000000000000002"
RESCUE = "m-help0000000000000009"
SHOP, EUROPE, CHECKOUT, LOYALTY = "1000000000000003", "1000000000000004", "1000000000000005", "1000000000000006"
PAYMENTS, NEWCOMER = "1000000000000015", "1000000000000016"
PLAYGROUND = "1000000000000012"


class Wrong(Exception):
    """The cloud is not as the story says."""


class Teller:
    """Tells the story and checks it as it goes."""

    def __init__(self, stage: Stage, out: Console) -> None:
        self.stage = stage
        self.out = out
        self.by_hand: set[Pair] = set()
        self.number = 0

    def expected(self) -> set[Pair]:
        """What the policy says, and what people made by hand."""
        return wanted_access(self.stage.policy(), self.stage.world()) | self.by_hand

    @contextlib.contextmanager
    def step(self, title: str, told: str) -> Iterator[Callable[[str], None]]:
        """One step: what happened is told before, what changed for whom after."""
        self.number += 1
        self.out.print()
        self.out.print(Rule(Text(f"{self.number}  {title}", style="bold"), align="left", style="dim"))
        self._say(told)
        before, names_before = self.stage.access(), Names(self.stage.world(), self.stage.policy())
        remarks: list[str] = []
        yield remarks.append
        names = Names(self.stage.world(), self.stage.policy(), earlier=names_before)
        changed = list(differences(before, self.stage.access(), names))
        for line in changed or [Text("= nobody's access changed")]:
            self._say(line)
        for remark in remarks:
            self._say(remark)

    def _say(self, text: str | Text) -> None:
        self.out.print(Padding(text, (0, 0, 0, 2), expand=False))

    def sent(self, report: dict[str, Any]) -> str:
        """What a function's report says of its work, in a clause."""
        modify = report["calls"].get("ecs:ModifyImageSharePermission", 0)
        total = sum(report["calls"].values())
        return f"{total} calls, {modify} of them to share or unshare."

    def settled(self) -> str:
        """Check that the cloud is as the policy says and that a sweep would change nothing."""
        found, expected = self.stage.access(), self.expected()
        if found != expected:
            raise Wrong(f"{len(found ^ expected)} pairs differ, for example {sorted(found ^ expected)[0]}")
        plan = self.stage.plan().plan
        if plan.changes or plan.held:
            raise Wrong(f"a sweep would change something: {plan.changes or plan.held}")
        return "As the policy says; a further sweep plans nothing."


def tell(stage: Stage, out: Console) -> None:
    """The whole story. Raises ``Wrong`` if the cloud is ever not as it should be."""
    teller = Teller(stage, out)
    stage.begin()
    _opening(teller)
    _image_becomes_available(teller)
    _an_account_joins(teller)
    _one_moves_and_one_leaves(teller)
    _an_event_comes_twice(teller)
    _people_change_things_by_hand(teller)
    _the_directory_reads_as_empty(teller)
    _a_typo_is_held(teller)
    _a_run_dies(teller)


def _opening(teller: Teller) -> None:
    stage, out = teller.stage, teller.out
    out.print(Padding(organization(stage.world()), (1, 2), expand=False))
    title = "The first sweep"
    with teller.step(title, "A timer calls «reconcile». Nobody has any image yet; four cannot be shared.") as remark:
        report = stage.send("reconcile", "timer")
        remark(teller.sent(report) + " " + teller.settled())
    refused = {row["image"]: f"{row['reason']}: {row['remedy'].split(';')[0]}" for row in report["refused"]}
    names = Names(stage.world(), stage.policy())
    out.print(Padding(everybody(stage.world(), stage.access(), names, refused), (1, 2), expand=False))


def _image_becomes_available(teller: Teller) -> None:
    told = "golden-linux was being created. Its event says that it is Available now; «image» looks at it alone."
    with teller.step("An image becomes available", told) as remark:
        teller.stage.change({"images": {GOLD: {"status": "Available"}}})
        remark(teller.sent(teller.stage.send("image", "image-available")) + " " + teller.settled())


def _an_account_joins(teller: Teller) -> None:
    told = "The account payments is created in production/. «membership» looks at the images it should have."
    with teller.step("An account joins", told) as remark:
        teller.stage.change({"directory": {"members": {PAYMENTS: {"name": "payments", "folder": "fd-prod"}}}})
        remark(teller.sent(teller.stage.send("membership", "account-created")) + " " + teller.settled())


def _one_moves_and_one_leaves(teller: Teller) -> None:
    told = "checkout is moved to sandbox/. Before it loses anything the directory is asked for it once more, alone."
    with teller.step("An account moves", told) as remark:
        teller.stage.change({"directory": {"members": {CHECKOUT: {"folder": "fd-sandbox"}}}})
        remark(teller.sent(teller.stage.send("membership", "account-moved")) + " " + teller.settled())
    told = "loyalty is removed from the organization. Only the answer that it does not exist proves that it left."
    with teller.step("An account leaves", told) as remark:
        teller.stage.change({"directory": {"members": {LOYALTY: None}}})
        remark(teller.sent(teller.stage.send("membership", "account-removed")) + " " + teller.settled())


def _an_event_comes_twice(teller: Teller) -> None:
    told = "The same event is delivered again. It only says where to look, and there is nothing to do."
    with teller.step("An event comes twice", told) as remark:
        remark(teller.sent(teller.stage.send("membership", "account-removed")) + " " + teller.settled())


def _people_change_things_by_hand(teller: Teller) -> None:
    stage = teller.stage
    told = (
        "In the console somebody takes golden-linux from shop-web and shop-europe, "
        "and gives golden-windows to playground, for whom no rule wants it."
    )
    with teller.step("People change things by hand", told):
        users = {account for image, account in stage.access() if image == GOLD}
        others = {account for image, account in stage.access() if image == WINDOWS}
        stage.change({"grants": {GOLD: sorted(users - {SHOP, EUROPE}), WINDOWS: sorted(others | {PLAYGROUND})}})
        teller.by_hand.add((WINDOWS, PLAYGROUND))
    told = "The next sweep gives back what was taken. What a person gave is not ours: it is left, and reported."
    with teller.step("The sweep repairs the drift", told) as remark:
        report = stage.send("reconcile", "timer")
        remark(teller.sent(report) + " " + teller.settled())
        for finding in report["findings"]:
            if finding["kind"] == "unmanaged":
                names = Names(stage.world(), stage.policy())
                who, what = names.account(finding["account"]), names.image(finding["image"])
                remark(f"finding: {who} on {what}: {finding['why']}")


def _the_directory_reads_as_empty(teller: Teller) -> None:
    told = "For a while the directory answers every listing with no members at all, and says that this is the whole."
    with teller.step("The directory reads as empty", told) as remark:
        fault = {"operation": "resourcemanager:ListAccounts", "kind": "empty-list", "every": 1}
        teller.stage.change({"faults": [fault]})
        report = teller.stage.send("reconcile", "timer")
        teller.stage.change({"faults": []})
        remark(f"{report['incomplete'][0]['why']}.")
        remark(teller.sent(report) + " " + teller.settled())


def _a_typo_is_held(teller: Teller) -> None:
    stage = teller.stage
    told = (
        "Somebody writes fd-prd for fd-prod in the policy: everybody in production would lose everything. "
        "At the same time newcomer joins development/ and should get ci-runner."
    )
    with teller.step("A typo in the policy", told) as remark:
        good = stage.policy()
        stage.edit_policy("folders: [fd-prod]", "folders: [fd-prd]")
        stage.change({"directory": {"members": {NEWCOMER: {"name": "newcomer", "folder": "fd-dev"}}}})
        report = stage.send("reconcile", "timer")
        for finding in report["findings"]:
            if finding["kind"] == "unknown-id":
                remark(f"finding: {finding['why']}")
        if not report["held"]:
            raise Wrong("nothing is held")
        for hold in report["held"]:
            remark(f"~ held: {hold['lost_pairs']} pairs; {hold['why']}.")
            remark(f"  Only «orgshare approve {hold['id']}» would release them.")
        if stage.access() != wanted_access(good, stage.world()) | teller.by_hand:
            raise Wrong("what is held was changed")
        remark("Additions went on; what is held is as it was.")
    told = "The typo is corrected. Nobody has lost anything, so nothing has to be given back."
    with teller.step("The typo is mended", told) as remark:
        stage.edit_policy("folders: [fd-prd]", "folders: [fd-prod]")
        remark(teller.sent(stage.send("reconcile", "timer")) + " " + teller.settled())


def _a_run_dies(teller: Teller) -> None:
    stage = teller.stage
    told = (
        "A new rule gives rescue to the whole organization: more than ten accounts, so more than one call. "
        "The run is killed after the first."
    )
    with teller.step("A run dies between two calls", told) as remark:
        rule = "rules:\n  - name: everybody\n    images: {tags: {share: nobody-yet}}\n    audience: {folders: [root]}\n"
        stage.edit_policy("rules:\n", rule)
        stage.change({"latency": {"seconds": 0.5}})
        stage.send_and_kill("reconcile", "timer", "ModifyImageSharePermission")
        stage.change({"latency": {"seconds": 0.0}})
        has = sum(image == RESCUE for image, _ in stage.access())
        wanted = sum(image == RESCUE for image, _ in teller.expected())
        if not 0 < has < wanted:
            raise Wrong(f"{has} of {wanted} accounts have rescue: the run did not die in between")
        remark(f"{has} of {wanted} accounts have it. That they are ours was written down before the call.")
    told = "The next run knows the grants for its own, and finishes."
    with teller.step("The next run finishes", told) as remark:
        remark(teller.sent(stage.send("reconcile", "timer")) + " " + teller.settled())
        rescue = next(d for d in stage.plan().decisions.images if d.image.id == RESCUE)
        if rescue.ours != rescue.wanted:
            raise Wrong(f"{len(rescue.wanted - rescue.ours)} grants of ours were taken for a stranger's")
        remark(f"All {len(rescue.ours)} grants are known to be ours.")


def run(*, keep: bool = False) -> int:
    """Tell the story; the exit status."""
    out = console()
    environment, taken = without_ambient(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    out.print(Text("LOCAL CLOUD: everything below happens on this machine.", style="bold"))
    if taken:
        out.print(f"Not used, though set: {', '.join(taken)}.")
    with contextlib.ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="orgshare-demo-"))
        if not keep:
            stack.callback(_remove, folder)
        stage = stack.enter_context(set_up(folder, keep=keep))
        try:
            tell(stage, out)
        except (Wrong, OrgshareError) as error:
            sys.stderr.write(f"orgshare demo: {error}\n")
            return 1
        found, teller = stage.access(), wanted_access(stage.policy(), stage.world())
        if keep:
            _how_to_go_on(out, stage)
        return _last_line(out, found, teller)


def _last_line(out: Console, found: set[Pair], wanted: set[Pair]) -> int:
    by_hand = {(WINDOWS, PLAYGROUND)}
    right = found & wanted
    wrong = (found - wanted - by_hand) | (wanted - found)
    out.print()
    out.print(
        Text(
            f"{len(right)} of {len(wanted)} pairs of image and account are as the policy says, "
            f"{len(wrong)} differ; {len(found & by_hand)} more was made by hand and left.",
            style="bold",
        )
    )
    return 1 if wrong else 0


def _how_to_go_on(out: Console, stage: Stage) -> None:
    out.print()
    out.print(f"The local cloud goes on as process {stage.server.pid}; end it with: kill {stage.server.pid}")
    for name, value in settings_of(stage.folder, stage.url).items():
        out.print(f"  export {name}={value}", soft_wrap=True)
    out.print("  orgshare status")


def _remove(folder: Path) -> None:

    shutil.rmtree(folder, ignore_errors=True)
