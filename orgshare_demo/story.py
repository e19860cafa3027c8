"""The demonstration: a day of an organization, told step by step on a local cloud.

After each step the story says what changed for whom and by which channel, as the local cloud's oracle finds it, and
compares that with a reference that is no part of the program (``reference``). What a function called is counted in the
local cloud's own log. At the end every pair of image and account must be as the policy says and have the one channel
that it should have, or the story fails.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.rule import Rule
from rich.text import Text

from orgshare.errors import OrgshareError
from orgshare_demo.reference import Pair, wanted_access
from orgshare_demo.stage import READING, Access, Stage, set_up, settings_of, without_ambient
from orgshare_demo.telling import Names, by, console, differences, everybody, organization

GOLD = "m-gold0000000000000001"
WINDOWS = "m-gold0000000000000002"
RUNNER = "m-build000000000000004"
VAULT = "m-crypt000000000000006"
RESCUE = "m-help0000000000000009"
SHOP, CHECKOUT, LOYALTY = "1000000000000003", "1000000000000005", "1000000000000006"
DEV_WEB, LAB = "1000000000000009", "1000000000000011"
PAYMENTS, NEWCOMER = "1000000000000015", "1000000000000016"
PLAYGROUND = "1000000000000012"
BY_HAND = "rs-hand1"


class Wrong(Exception):
    """The cloud is not as the story says."""


class Teller:
    """Tells the story and checks it as it goes. ``by_hand`` are direct grants that people make on the way."""

    def __init__(self, stage: Stage, out: Console) -> None:
        self.stage = stage
        self.out = out
        self.by_hand: set[Pair] = set()
        self.number = 0
        self.names = Names(stage.world(), stage.policy())
        self._shares_by_hand = self._hand_made()

    def expected(self, policy: Mapping[str, Any] | None = None) -> Access:
        """What the policy says, each pair by its one channel, and the grants that people made."""
        return _with_grants(wanted_access(policy or self.stage.policy(), self.stage.world()), self.by_hand)

    @contextlib.contextmanager
    def step(self, title: str, told: str) -> Iterator[Callable[[str], None]]:
        """One step: what happened is told before, what changed for whom after."""
        self.number += 1
        self.out.print()
        self.out.print(Rule(Text(f"{self.number}  {title}", style="bold"), align="left", style="dim"))
        self._say(told)
        before = self.stage.access()
        remarks: list[str] = []
        yield remarks.append
        self.names = Names(self.stage.world(), self.stage.policy(), earlier=self.names)
        changed = list(differences(before, self.stage.access(), self.names))
        for line in changed or [Text("= nobody's access changed")]:
            self._say(line)
        for remark in remarks:
            self._say(remark)

    def _say(self, text: str | Text) -> None:
        """Print a paragraph, further in by the blanks that it begins with."""
        plain = str(text)
        deeper = len(plain) - len(plain.lstrip())
        self.out.print(Padding(plain.lstrip() if deeper else text, (0, 0, 0, 2 + deeper), expand=False))

    def run(self, function: str, event: str, remark: Callable[[str], None], *, writes: int | None) -> dict[str, Any]:
        """Hand an event to a function; its report. ``writes`` is how many writing calls it must make, if known."""
        before = len(self.stage.calls())
        report = self.stage.send(function, event)
        calls = self.stage.calls()[before:]
        writing = [call for call in calls if not call.startswith(READING)]
        if sum(report["calls"].values()) != len(calls):
            raise Wrong(f"the report counts {sum(report['calls'].values())} calls, the log {len(calls)}")
        if writes not in (None, len(writing)):
            raise Wrong(f"{len(writing)} writing calls, not {writes}: {', '.join(writing)}")
        named = f": {', '.join(f'{writing.count(call)} {call}' for call in sorted(set(writing)))}" if writing else ""
        remark(f"{len(calls)} calls, {len(writing) or 'none'} of them writing{named}.")
        return report

    def as_expected(self, policy: Mapping[str, Any] | None = None) -> None:
        """Check that everybody has what they should have, by the channel that it should be."""
        found, expected = self.stage.access(), self.expected(policy)
        differ = sorted(pair for pair in found.keys() | expected.keys() if found.get(pair) != expected.get(pair))
        if differ:
            first = differ[0]
            has, should = found.get(first, ()), expected.get(first, ())
            raise Wrong(f"{len(differ)} pairs differ, the first {first}: {sorted(has)}, not {sorted(should)}")

    def settled(self) -> str:
        """Check that the cloud is as the policy says and that a sweep would change nothing."""
        self.as_expected()
        plan = self.stage.plan().plan
        if plan.changes or plan.held or plan.pending:
            raise Wrong(f"a sweep would go on: {plan.changes or plan.held or plan.pending}")
        if self._hand_made() != self._shares_by_hand:
            raise Wrong(f"{BY_HAND} is not as people made it")
        return "As the policy says; a further sweep plans nothing."

    def change_hand_made(self, targets: list[str]) -> None:
        """Somebody changes the targets of the resource share that was made by hand."""
        self.stage.change({"resource_shares": {BY_HAND: {"targets": targets}}})
        self._shares_by_hand = self._hand_made()

    def _hand_made(self) -> Any:
        return self.stage.world()["resource_shares"][BY_HAND]

    def findings(self, report: Mapping[str, Any], kind: str) -> Iterator[str]:
        """The findings of a kind, as the story tells them. There must be some."""
        found = [finding for finding in report["findings"] if finding["kind"] == kind]
        if not found:
            raise Wrong(f"no finding {kind}")
        for finding in found:
            if finding["image"] and finding["account"]:
                who, what = self.names.account(finding["account"]), self.names.image(finding["image"])
                yield f"finding {kind}: {who} on {what}: {finding['why']}."
            else:
                yield f"finding {kind}: {finding['why']}."


def tell(teller: Teller) -> None:
    """The whole story. Raises ``Wrong`` if the cloud is ever not as it should be."""
    teller.stage.begin()
    _opening(teller)
    _image_becomes_available(teller)
    _an_account_joins(teller)
    _one_moves_and_one_leaves(teller)
    _an_event_comes_twice(teller)
    _people_change_things_by_hand(teller)
    _the_directory_reads_as_empty(teller)
    _a_typo_is_held(teller)
    _a_double_share_is_resolved(teller)
    _a_run_dies(teller)


def _opening(teller: Teller) -> None:
    stage, out = teller.stage, teller.out
    out.print(Padding(organization(stage.world()), (1, 2), expand=False))
    told = (
        "A timer calls «reconcile». Rule production uses the directory: resource shares whose targets are folders. "
        "Rule build asks for direct grants, and partners, outside the organization, can have nothing else. Long ago "
        f"somebody made the resource share {BY_HAND} in the console; it gives ci-runner to lab/."
    )
    with teller.step("The first sweep", told) as remark:
        teller.run("reconcile", "timer", remark, writes=None)
        teller.as_expected()
        remark(f"{teller.names.account(LAB)} has ci-runner by {BY_HAND} already, so it gets no grant.")
        remark("golden-vault is under a service key, and the cloud took it into no resource share: see the next step.")
    told = (
        "«channel: auto» lets golden-vault try the other way: direct grants. The cloud refuses these too. "
        "Nothing else waits for it."
    )
    with teller.step("The second sweep", told) as remark:
        report = teller.run("reconcile", "timer", remark, writes=1)
        remark(teller.settled())
    refused = {row["image"]: f"{row['reason']}: {row['remedy'].split(';')[0]}" for row in report["refused"]}
    if VAULT not in refused:
        raise Wrong("golden-vault is not reported")
    out.print(Padding(everybody(stage.world(), stage.access(), teller.names, refused), (1, 2), expand=False))


def _image_becomes_available(teller: Teller) -> None:
    told = "golden-linux was being created. Its event says that it is Available now; «image» looks at it alone."
    with teller.step("An image becomes available", told) as remark:
        teller.stage.change({"images": {GOLD: {"status": "Available"}}})
        teller.run("image", "image-available", remark, writes=1)
        remark("It joined the resource share that golden-windows is in. " + teller.settled())


def _an_account_joins(teller: Teller) -> None:
    told = "The account payments is created in production/, which is a target of the resource shares."
    with teller.step("An account joins", told) as remark:
        teller.stage.change({"directory": {"members": {PAYMENTS: {"name": "payments", "folder": "fd-prod"}}}})
        already = sum(account == PAYMENTS for _, account in teller.stage.access())
        if already != sum(account == PAYMENTS for _, account in teller.expected()):
            raise Wrong("payments does not have its images before any function ran")
        remark(f"It had its {already} images before any function ran. Then «membership» looked:")
        teller.run("membership", "account-created", remark, writes=0)
        remark(teller.settled())


def _one_moves_and_one_leaves(teller: Teller) -> None:
    told = (
        "checkout is moved to sandbox/. What it had by the directory it has no more: it is in no target now. Its "
        "direct grant of ci-runner is revoked, after the directory was asked for checkout once more, alone."
    )
    with teller.step("An account moves", told) as remark:
        teller.stage.change({"directory": {"members": {CHECKOUT: {"folder": "fd-sandbox"}}}})
        teller.run("membership", "account-moved", remark, writes=1)
        remark(teller.settled())
    told = "loyalty is removed from the organization. Only the answer that it does not exist proves that it left."
    with teller.step("An account leaves", told) as remark:
        teller.stage.change({"directory": {"members": {LOYALTY: None}}})
        teller.run("membership", "account-removed", remark, writes=1)
        remark(teller.settled())


def _an_event_comes_twice(teller: Teller) -> None:
    told = "The same event is delivered again. It only says where to look, and there is nothing to do."
    with teller.step("An event comes twice", told) as remark:
        teller.run("membership", "account-removed", remark, writes=0)
        remark(teller.settled())


def _people_change_things_by_hand(teller: Teller) -> None:
    stage = teller.stage
    told = (
        "In the console somebody takes data/ out of the targets of a resource share of ours, and gives golden-windows "
        "directly to playground, for whom no rule wants it, and to shop-web, who has it already."
    )
    with teller.step("People change things by hand", told):
        share, row = stage.share_of(GOLD)
        stage.change({"resource_shares": {share: {"targets": [one for one in row["targets"] if one != "fd-data"]}}})
        stage.change({"grants": {WINDOWS: [SHOP, PLAYGROUND]}})
        teller.by_hand |= {(WINDOWS, SHOP), (WINDOWS, PLAYGROUND)}
    told = "The next sweep puts data/ back. What a person gave is not ours: it is left, and reported."
    with teller.step("The sweep repairs the drift", told) as remark:
        report = teller.run("reconcile", "timer", remark, writes=1)
        remark(teller.settled())
        for kind in ("unmanaged", "double-shared"):
            for finding in teller.findings(report, kind):
                remark(finding)


def _the_directory_reads_as_empty(teller: Teller) -> None:
    told = "For a while the directory answers every listing with no members at all, and says that this is the whole."
    with teller.step("The directory reads as empty", told) as remark:
        fault = {"operation": "resourcemanager:ListAccounts", "kind": "empty-list", "every": 1}
        teller.stage.change({"faults": [fault]})
        report = teller.run("reconcile", "timer", remark, writes=0)
        teller.stage.change({"faults": []})
        remark(f"{report['incomplete'][0]['why']}.")
        remark(teller.settled())


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
        report = teller.run("reconcile", "timer", remark, writes=1)
        for finding in teller.findings(report, "unknown-id"):
            remark(finding)
        if not report["held"]:
            raise Wrong("nothing is held")
        for hold in report["held"]:
            remark(f"~ held: {hold['lost_pairs']} pairs; {hold['why']}.")
            remark(f"  Only «orgshare approve {hold['id']}» would release them.")
        teller.as_expected(good)
        remark("Additions went on; what is held is as it was.")
    told = "The typo is corrected. Nobody has lost anything, so nothing has to be given back."
    with teller.step("The typo is mended", told) as remark:
        stage.edit_policy("folders: [fd-prd]", "folders: [fd-prod]")
        teller.run("reconcile", "timer", remark, writes=0)
        remark(teller.settled())


def _a_double_share_is_resolved(teller: Teller) -> None:
    stage = teller.stage
    told = (
        f"Somebody adds development/ to the targets of {BY_HAND}. Its accounts have ci-runner twice now: by that "
        "resource share, and by the grants that orgshare made. «orgshare explain» says so:"
    )
    with teller.step("A second channel by hand", told) as remark:
        teller.change_hand_made(["fd-dev", "fd-lab"])
        for line in stage.orgshare("explain", RUNNER, DEV_WEB):
            remark(f"  {line}")
        if by(stage.access(), (RUNNER, DEV_WEB)) != "direct and directory":
            raise Wrong("dev-web has not both channels")
    told = (
        f"One channel is enough, and {BY_HAND} is not ours to change. So the sweep takes back its own grants, once it "
        "is sure that everybody concerned keeps the image: when they were seen in their places for directory.settle, "
        "15 minutes if the policy does not say otherwise. This one says 0s, so that nobody has to wait."
    )
    with teller.step("The sweep ends the double share", told) as remark:
        report = teller.run("reconcile", "timer", remark, writes=1)
        for change in report["done"]:
            remark(f"{change['action']}: {change['why']}.")
        remark(teller.settled())


def _a_run_dies(teller: Teller) -> None:
    stage = teller.stage
    told = (
        "A new rule gives rescue to the whole organization, less quarantine/, which «never» takes away: seven folders "
        "as targets, and one call takes five. The run is killed after the first."
    )
    with teller.step("A run dies between two calls", told) as remark:
        rule = "rules:\n  - name: everybody\n    images: {tags: {share: nobody-yet}}\n    audience: {folders: [root]}\n"
        stage.edit_policy("rules:\n", rule)
        # Slow answers, and a second call that is put off, leave time to kill the run where the story says.
        throttled = {"operation": "resourcesharing:AssociateResourceShare", "kind": "throttle", "every": 2}
        stage.change({"latency": {"seconds": 0.5}, "faults": [throttled]})
        stage.send_and_kill("reconcile", "timer", "AssociateResourceShare")
        stage.change({"latency": {"seconds": 0.0}, "faults": []})
        has = sum(image == RESCUE for image, _ in stage.access())
        wanted = sum(image == RESCUE for image, _ in teller.expected())
        if not 0 < has < wanted:
            raise Wrong(f"{has} of {wanted} accounts have rescue: the run did not die in between")
        remark(f"{has} of {wanted} accounts have it. That the targets are ours was written down before the call.")
    told = (
        "Nobody else writes while the lease of the dead run lives, here two seconds. Then the next run knows the "
        "resource share for its own, and finishes it."
    )
    with teller.step("The next run finishes", told) as remark:
        stage.until_free()
        teller.run("reconcile", "timer", remark, writes=1)
        remark(teller.settled())
        rescue = next(d for d in stage.plan().decisions.images if d.image.id == RESCUE)
        if rescue.shared != rescue.wanted:
            raise Wrong(f"{len(rescue.wanted - rescue.shared)} accounts have rescue by a share that is not ours")
        remark(f"All {len(rescue.shared)} accounts have it by images and targets that are known to be ours.")


def run(*, keep: bool = False) -> int:
    """Tell the story; the exit status."""
    out = console()
    environment, taken = without_ambient(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    out.print(Text("LOCAL CLOUD: everything below happens on this machine.", style="bold"))
    if taken:
        out.print(f"Not used, though set: {', '.join(taken)}.")
    folder = Path(tempfile.mkdtemp(prefix="orgshare-demo-"))
    try:
        with contextlib.ExitStack() as afterwards:
            afterwards.callback(shutil.rmtree, folder, ignore_errors=True)
            with set_up(folder, keep=keep) as stage:
                teller = Teller(stage, out)
                tell(teller)
                if keep:
                    _how_to_go_on(out, stage)
                status = _last_line(out, stage.access(), wanted_access(stage.policy(), stage.world()), teller.by_hand)
            if keep:
                afterwards.pop_all()
            return status
    except (Wrong, OrgshareError) as error:
        sys.stderr.write(f"orgshare demo: {error}\n")
        return 1


def _with_grants(wanted: Mapping[Pair, str], by_hand: set[Pair]) -> Access:
    """The one channel of each pair, and beside it the direct grants that people made."""
    alone = {pair: frozenset({channel}) for pair, channel in wanted.items()}
    return alone | {pair: alone.get(pair, frozenset()) | {"direct"} for pair in by_hand}


def _last_line(out: Console, found: Access, wanted: Mapping[Pair, str], by_hand: set[Pair]) -> int:
    """Count pairs and their channels. A grant by hand beside the right channel is counted, and no mistake of ours."""
    expected = _with_grants(wanted, by_hand)
    wrong = {pair for pair in found.keys() | expected.keys() if found.get(pair) != expected.get(pair)}
    right = wanted.keys() - wrong
    doubles = {pair for pair in right if len(found[pair]) > 1}
    left = by_hand & found.keys() - wanted.keys()
    channels = [wanted[pair] for pair in right - doubles]
    out.print()
    line = (
        f"{len(right)} of {len(wanted)} pairs of image and account are as the policy says, {len(wrong)} differ; "
        f"{len(channels)} have one channel ({channels.count('directory')} directory, {channels.count('direct')} "
        f"direct), {len(doubles)} a second one by hand; {len(left)} more was made by hand and left."
    )
    out.print(Text(line, style="bold"), soft_wrap=True)
    return 1 if wrong else 0


def _how_to_go_on(out: Console, stage: Stage) -> None:
    out.print()
    out.print(f"The local cloud goes on as process {stage.server.pid}; end it with: kill {stage.server.pid}")
    for name, value in settings_of(stage.folder, stage.url).items():
        out.print(f"  export {name}={value}", soft_wrap=True)
    out.print("  orgshare status")
