"""The demonstration: a day of an organization, told step by step on a local cloud.

Nobody in it calls a function. People change the cloud, as anybody does, and time passes; events and timers call the
functions of the template, each in a process of its own and in the role that the template gives it. In the last
chapter every event is lost, and time alone does it.

After each step the story says which functions ran, what changed for whom and by which channel, as the local cloud's
oracle finds it, and compares that with a reference that is no part of the program (``reference``). What the functions
called is counted in the local cloud's own log. At the end every pair of image and account must be as the policy says
and have the one channel that it should have, and the owner's sharing role must let in exactly those who have an
encrypted image, or the story fails.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.rule import Rule
from rich.text import Text

from orgshare.errors import OrgshareError
from orgshare.settings import LEASE
from orgshare_demo.deployment import PREFIX, SWEEP, WATCH, settings_of
from orgshare_demo.reference import SHARING_ROLE, Pair, let_in, needing_the_key, wanted_access
from orgshare_demo.stage import Access, Happened, Stage, set_up, without_ambient
from orgshare_demo.telling import Names, by, console, differences, everybody, organization

GOLD = "m-gold0000000000000001"
WINDOWS = "m-gold0000000000000002"
RUNNER = "m-build000000000000004"
VAULT = "m-crypt000000000000006"
RESCUE = "m-help0000000000000009"
SHOP, CHECKOUT, LOYALTY = "1000000000000003", "1000000000000005", "1000000000000006"
DEV_WEB, LAB = "1000000000000009", "1000000000000011"
PLAYGROUND, EUROPE, REPORTING = "1000000000000012", "1000000000000004", "1000000000000008"
AGENCY, INVITED = "1000000000000015", "1000000000000016"
BY_HAND = "rs-hand1"
KEY = "key-of-the-factory"
SHARED = "ImageUseShared"


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
        self.say(told)
        before = self.stage.access()
        remarks: list[str] = []
        yield remarks.append
        self.names = Names(self.stage.world(), self.stage.policy(), earlier=self.names)
        changed = list(differences(before, self.stage.access(), self.names))
        for line in changed or [Text("= nobody's access changed")]:
            self.say(line)
        for remark in remarks:
            self.say(remark)

    def say(self, text: str | Text) -> None:
        """Print a paragraph, further in by the blanks that it begins with."""
        plain = str(text)
        deeper = len(plain) - len(plain.lstrip())
        shown = Text(plain.lstrip()) if deeper or isinstance(text, str) else text
        self.out.print(Padding(shown, (0, 0, 0, 2 + deeper), expand=False))

    def let(self, seconds: float, remark: Callable[[str], None], *, writes: int | None, failing: int = 0) -> Happened:
        """Let time pass and say what ran by itself meanwhile.

        ``writes`` is how many writing calls there must be, if known, and ``failing`` how many runs must fail.
        """
        happened = self.stage.let(seconds)
        for report in happened.reports:
            counted, logged = sum(report["calls"].values()), _calls_of(report["run"], happened)
            if counted != logged:
                raise Wrong(f"the report of run {report['run']} counts {counted} calls, the log {logged}")
        failed = [row for row in happened.invocations if row["outcome"] != "ok"]
        if len(failed) != failing:
            raise Wrong(f"{len(failed)} runs failed, not {failing}: {[row['answer'] for row in failed]}")
        writing = happened.writing
        if writes not in (None, len(writing)):
            raise Wrong(f"{len(writing)} writing calls, not {writes}: {', '.join(writing)}")
        named = f": {', '.join(f'{writing.count(call)} {call}' for call in sorted(set(writing)))}" if writing else ""
        when = f"{seconds / 60:.0f} minutes later" if seconds else "At once"
        remark(f"{when}: {_runs(happened) or 'no function ran'}.")
        if happened.calls:
            remark(f"{len(happened.calls)} calls, {len(writing) or 'none'} of them writing{named}.")
        return happened

    def next_sweep(self) -> float:
        """Seconds until the next sweep."""
        return SWEEP - self.stage.passed % SWEEP

    def as_expected(self, policy: Mapping[str, Any] | None = None) -> None:
        """Check that everybody has what they should have, by the channel that it should be."""
        found, expected = self.stage.access(), self.expected(policy)
        differ = sorted(pair for pair in found.keys() | expected.keys() if found.get(pair) != expected.get(pair))
        if differ:
            first = differ[0]
            has, should = found.get(first, ()), expected.get(first, ())
            raise Wrong(f"{len(differ)} pairs differ, the first {first}: {sorted(has)}, not {sorted(should)}")
        if locked_out := self.needing_the_key() - self.let_in():
            raise Wrong(f"{SHARING_ROLE} does not let in {sorted(locked_out)}, who have an encrypted image")

    def needing_the_key(self) -> set[str]:
        """Who has an encrypted image."""
        return needing_the_key(self.stage.access(), self.stage.world())

    def let_in(self) -> set[str]:
        """Whom the owner's sharing role lets use its keys."""
        return let_in(self.stage.world())

    def settled(self) -> str:
        """Check that the cloud is as the policy says and that a sweep would change nothing."""
        self.as_expected()
        plan = self.stage.plan().plan
        if plan.changes or plan.held or plan.pending:
            raise Wrong(f"a sweep would go on: {plan.changes or plan.held or plan.pending}")
        if more := self.let_in() - self.needing_the_key():
            raise Wrong(f"{SHARING_ROLE} lets in {sorted(more)}, who have no encrypted image")
        if self._hand_made() != self._shares_by_hand:
            raise Wrong(f"{BY_HAND} is not as people made it")
        return "As the policy says; a further sweep plans nothing."

    def let_in_first(self, happened: Happened, before: set[str]) -> str:
        """Check that the sharing role let more accounts in than before, and no grant came too early and was refused."""
        refused = [call["code"] for call in happened.calls if call["status"] >= 400]
        if "UpdateRole" not in happened.writing or refused:
            raise Wrong(f"nobody was let in, or too late: {happened.writing}, refused: {refused}")
        let_in = self.names.together(self.let_in() - before)
        return f"Let in first, as the service refuses encrypted images to others: {let_in}."

    def who_is_let_in(self) -> str:
        """The names of all whom the sharing role lets in."""
        return self.names.together(self.let_in())

    def change_hand_made(self, targets: list[str]) -> None:
        """Somebody changes the targets of the resource share that was made by hand."""
        self.stage.change({"resource_shares": {BY_HAND: {"targets": targets}}})
        self._shares_by_hand = self._hand_made()

    def _hand_made(self) -> Any:
        return self.stage.world()["resource_shares"][BY_HAND]

    def findings(self, happened: Happened, kind: str) -> Iterator[str]:
        """The findings of a kind, as the story tells them. There must be some."""
        found = [finding for finding in happened.of("findings") if finding["kind"] == kind]
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
    _people_change_things_by_hand(teller)
    _the_directory_reads_as_empty(teller)
    _a_typo_is_held(teller)
    _a_double_share_is_resolved(teller)
    _a_run_dies(teller)
    signer = _images_are_encrypted(teller)
    _an_agency_joins_and_leaves(teller)
    _an_image_is_retired(teller, signer)
    _every_event_is_lost(teller)


def _opening(teller: Teller) -> None:
    stage, out = teller.stage, teller.out
    out.print(Padding(organization(stage.world()), (1, 2), expand=False))
    teller.say(
        "The image factory has deployed template.yml: four functions with their triggers and roles, and a bucket for "
        "policy and state. From here on nobody calls a function. People and time change the cloud; events and timers "
        "call «membership», «image» and «reconcile», and these send a «worker» to each shard that is concerned. Each "
        "is a process of its own with the role of the template. Counted are its calls to the organization, images and "
        "resource shares, not those to its state."
    )
    told = (
        "Every five minutes the timer watch calls «membership», which finds that nobody has looked yet. Rule "
        "production uses the directory: resource shares whose targets are folders. Rule build asks for direct grants. "
        "Partners, outside the organization, can have nothing else, and an image of Elastic Desktop Service cannot be "
        "shared otherwise: office-desktop, which rule desktops gives to shop/. Long ago somebody made the resource "
        f"share {BY_HAND} in the console; it gives ci-runner to lab/."
    )
    with teller.step("The first watch", told) as remark:
        happened = teller.let(WATCH, remark, writes=None)
        workers = sum(row["function"] == f"{PREFIX}-worker" for row in happened.invocations)
        if workers != len(happened.reports):
            raise Wrong(f"{workers} workers ran for {len(happened.reports)} shards")
        teller.as_expected()
        remark(f"{teller.names.account(LAB)} has ci-runner by {BY_HAND} already, so it gets no grant.")
        remark("golden-vault is encrypted, and no rule authorizes that: nothing is tried, see the next step.")
        remark("Our own calls come back as events, too; «image» knows them for ours and sends nobody.")
    told = (
        "The timer sweep calls «reconcile», for a look at everything. It reports golden-vault again, and why. Nothing "
        "else waits for it."
    )
    with teller.step("The first sweep", told) as remark:
        happened = teller.let(teller.next_sweep(), remark, writes=0)
        remark(teller.settled())
    refused = {row["image"]: f"{row['reason']}: {row['remedy'].split(';')[0]}" for row in happened.of("refused")}
    if VAULT not in refused:
        raise Wrong("golden-vault is not reported")
    out.print(Padding(everybody(stage.world(), stage.access(), teller.names, refused), (1, 2), expand=False))


def _image_becomes_available(teller: Teller) -> None:
    told = (
        "golden-linux was being created and is Available now. Its event calls «image», and a worker looks at it alone."
    )
    with teller.step("An image becomes available", told) as remark:
        teller.stage.change({"images": {GOLD: {"status": "Available"}}})
        teller.let(0, remark, writes=1)
        remark("It joined the resource share that golden-windows is in. " + teller.settled())


def _an_account_joins(teller: Teller) -> None:
    told = "The account payments is created in production/, which is a target of the resource shares."
    with teller.step("An account joins", told) as remark:
        payments = teller.stage.people.create_account("payments", "fd-prod")
        already = sum(account == payments for _, account in teller.stage.access())
        if already != sum(account == payments for _, account in teller.expected()):
            raise Wrong("payments does not have its images before any function ran")
        remark(f"It had its {already} images before any function ran. Then its event came:")
        teller.let(0, remark, writes=0)
        remark(teller.settled())


def _one_moves_and_one_leaves(teller: Teller) -> None:
    stage = teller.stage
    told = (
        "checkout is moved to sandbox/. What it had by the directory it has no more: it is in no target now. Its "
        "direct grants are revoked, after the directory was asked for checkout once more, alone."
    )
    with teller.step("An account moves", told) as remark:
        stage.people.move_account(CHECKOUT, "fd-sandbox")
        teller.let(0, remark, writes=2)
        remark(teller.settled())
    told = (
        "loyalty is removed from the organization. Only the answer that it does not exist proves that it left. This "
        "event is delivered twice, which changes nothing: it only says where to look."
    )
    with teller.step("An account leaves, and its event comes twice", told) as remark:
        stage.change({"events": {"duplicate": 1.0}})
        stage.people.remove_account(LOYALTY)
        stage.change({"events": {"duplicate": 0.0}})
        teller.let(0, remark, writes=2)
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
        happened = teller.let(teller.next_sweep(), remark, writes=1)
        remark(teller.settled())
        for kind in ("unmanaged", "double-shared"):
            for finding in teller.findings(happened, kind):
                remark(finding)


def _the_directory_reads_as_empty(teller: Teller) -> None:
    told = "For a while the directory answers every listing with no members at all, and says that this is the whole."
    with teller.step("The directory reads as empty", told) as remark:
        fault = {"operation": "resourcemanager:ListAccounts", "kind": "empty-list", "every": 1}
        teller.stage.change({"faults": [fault]})
        happened = teller.let(WATCH, remark, writes=0)
        teller.stage.change({"faults": []})
        remark(f"{happened.of('incomplete')[0]['why']}.")
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
        stage.people.create_account("newcomer", "fd-dev")
        happened = teller.let(WATCH, remark, writes=1)
        for finding in dict.fromkeys(teller.findings(happened, "unknown-id")):
            remark(finding)
        if not happened.of("held"):
            raise Wrong("nothing is held")
        for hold in happened.of("held"):
            remark(f"~ held: {hold['lost_pairs']} pairs; {hold['why']}.")
            remark(f"  Only «orgshare approve {hold['id']}» would release them.")
        teller.as_expected(good)
        remark("Additions went on; what is held is as it was.")
    told = "The typo is corrected. Nobody has lost anything, so nothing has to be given back."
    with teller.step("The typo is mended", told) as remark:
        stage.edit_policy("folders: [fd-prd]", "folders: [fd-prod]")
        teller.let(WATCH, remark, writes=0)
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
        happened = teller.let(teller.next_sweep(), remark, writes=1)
        for change in happened.of("done"):
            remark(f"{change['action']}: {change['why']}.")
        remark(teller.settled())


def _a_run_dies(teller: Teller) -> None:
    stage = teller.stage
    told = (
        "A new rule gives rescue to the whole organization, less quarantine/, which «never» takes away: seven folders "
        "as targets, and one call takes five. The process of the worker is killed after the first."
    )
    with teller.step("A run dies between two calls", told) as remark:
        rule = "rules:\n  - name: everybody\n    images: {tags: {share: nobody-yet}}\n    audience: {folders: [root]}\n"
        stage.edit_policy("rules:\n", rule)
        stage.change(
            {"faults": [{"operation": "resourcesharing:AssociateResourceShare", "kind": "killed", "times": 1}]}
        )
        teller.let(WATCH, remark, writes=None, failing=1)
        has = sum(image == RESCUE for image, _ in stage.access())
        wanted = sum(image == RESCUE for image, _ in teller.expected())
        if not 0 < has < wanted:
            raise Wrong(f"{has} of {wanted} accounts have rescue: the run did not die in between")
        remark(f"{has} of {wanted} accounts have it. That the targets are ours was written down before the call.")
    told = (
        "Function Compute repeats the run at once, and the next watch sends another worker; but nobody else writes "
        f"until the lease of the dead run is over, after {LEASE / 60:.0f} minutes. Who comes then knows the resource "
        "share for ours, and finishes it."
    )
    with teller.step("The next run finishes", told) as remark:
        teller.let(2 * WATCH, remark, writes=1)
        remark(teller.settled())
        rescue = next(d for d in stage.plan().decisions.images if d.image.id == RESCUE)
        if rescue.shared != rescue.wanted:
            raise Wrong(f"{len(rescue.wanted - rescue.shared)} accounts have rescue by a share that is not ours")
        remark(f"All {len(rescue.shared)} accounts have it by images and targets that are known to be ours.")


def _images_are_encrypted(teller: Teller) -> str:
    """The factory copies two images under a key of its own; the id of the second copy."""
    stage, people = teller.stage, teller.stage.people
    told = (
        "golden-vault is under a key of the service, which nobody else can use. The factory copies it under a key of "
        "its own, as golden-vault-2, and golden-linux as golden-signer. A new rule gives them to production/ and says "
        f"«encrypted: authorize»: whoever gets them needs the key as well, so the factory's role {SHARING_ROLE} has to "
        "let the account in before."
    )
    with teller.step("Encrypted images", told) as remark:
        rule = "  - name: sealed\n    images: {tags: {share: sealed}}\n    audience: {folders: [fd-prod]}\n"
        stage.edit_policy("rules:\n", f"rules:\n{rule}    encrypted: authorize\n")
        people.copy_image(VAULT, "golden-vault-2", key=KEY, tags={"share": "sealed"})
        signer = people.copy_image(GOLD, "golden-signer", key=KEY, tags={"share": "sealed"})
        before = teller.let_in()
        remark(teller.let_in_first(teller.let(0, remark, writes=3), before))
        remark(teller.settled())
    return signer


def _an_agency_joins_and_leaves(teller: Teller) -> None:
    stage = teller.stage
    told = (
        f"An agency, {AGENCY}, accepts an invitation and is moved to shop/. Resource shares reach it there at once; "
        "its event brings the rest, and the key before the encrypted images."
    )
    with teller.step("An agency joins", told) as remark:
        stage.people.invite_account(AGENCY)
        stage.people.move_account(AGENCY, "fd-shop")
        before = teller.let_in()
        remark(teller.let_in_first(teller.let(0, remark, writes=5), before))
        remark(teller.settled())
    told = (
        "The agency is removed from the organization and loses everything at once, but for its place in the role: that "
        "no encrypted image in any region needs it any more is for the next look at everything to say."
    )
    with teller.step("The agency leaves", told) as remark:
        stage.people.remove_account(AGENCY)
        teller.let(0, remark, writes=4)
        teller.as_expected()
        if AGENCY not in teller.let_in():
            raise Wrong("the role let the agency out before anybody had looked at everything")
        remark(f"Still let in: {teller.who_is_let_in()}.")


def _an_image_is_retired(teller: Teller, image: str) -> None:
    stage = teller.stage
    told = (
        "golden-signer goes out of service. Somebody tags it with «lifecycle: retired», which the policy knows: nobody "
        "is to have it any more. That would take it from everybody, so it is held; a person approves."
    )
    with teller.step("An image is retired", told) as remark:
        stage.people.tag_image(image, lifecycle="retired")
        happened = teller.let(0, remark, writes=0)
        holds = happened.of("held")
        if len(holds) != 1:
            raise Wrong(f"{len(holds)} holds, not 1")
        remark(f"~ held: {holds[0]['lost_pairs']} pairs; {holds[0]['why']}.")
        remark("The sixth is the agency: what is lost within a day counts together.")
        if (code := stage.people.delete_image(image)) != SHARED:
            raise Wrong(f"an image that is shared can be deleted: {code or 'nothing'} stands against it")
        remark(f"The service refuses to delete an image that is shared: {SHARED}.")
        for line in stage.orgshare("approve", holds[0]["id"]):
            remark(line)
    told = "The next watch sees the approval and looks at everything. Nobody has the image then, and it can be deleted."
    with teller.step("Nobody has it any more", told) as remark:
        teller.let(WATCH, remark, writes=2)
        teller.as_expected()
        remark(f"Let in: {teller.who_is_let_in()}, who have golden-vault-2.")
        if code := stage.people.delete_image(image):
            raise Wrong(f"golden-signer cannot be deleted: {code}")
        remark("golden-signer is deleted.")
        teller.let(0, remark, writes=0)
        remark(teller.settled())


def _every_event_is_lost(teller: Teller) -> None:
    stage = teller.stage
    told = (
        f"From now on every event is lost. {INVITED} accepts an invitation and is directly under the Root of the "
        "organization, where rescue is for it; shop-europe is moved to data/ and reporting to shop/, where ci-runner "
        "and office-desktop are only for the latter."
    )
    with teller.step("Every event is lost", told) as remark:
        stage.change({"events": {"lose": 1.0}})
        stage.people.invite_account(INVITED)
        stage.people.move_account(EUROPE, "fd-data")
        stage.people.move_account(REPORTING, "fd-shop")
        happened = teller.let(0, remark, writes=0)
        if happened.invocations:
            raise Wrong("something ran")
    told = "Events only make it quicker: the next watch compares the organization with what was seen before."
    with teller.step("The next watch finds it", told) as remark:
        teller.let(WATCH, remark, writes=None)
        remark(teller.settled())
        stage.change({"events": {"lose": 0.0}})


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


def _runs(happened: Happened) -> str:
    """Which functions ran how often and because of what, in the order in which the first of each began."""
    runs = Counter((row["function"].removeprefix(f"{PREFIX}-"), _because(row)) for row in happened.invocations)
    times = {1: "", 2: " twice"}
    return ", ".join(
        f"{function}{times.get(count, f' {count} times')}{because}" for (function, because), count in runs.items()
    )


def _because(row: Mapping[str, Any]) -> str:
    """What called a function, unless it was another one, and how its run ended, unless well."""
    kind, _, trigger = row["source"].partition(":")
    notes = {"timer": [f"timer {trigger}"], "eventbridge": ["event"]}.get(kind, [])
    if row["outcome"] != "ok":
        notes.append("died" if "Process exited" in row["answer"] else "failed")
    return f" ({', '.join(notes)})" if notes else ""


def _calls_of(run: str, happened: Happened) -> int:
    """How many of the counted calls a run has made: it names itself in the user agent."""
    return sum(f" run/{run}" in call["agent"] for call in happened.calls)


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
    out.print(f"Its world and the log of all requests are in {stage.folder}", soft_wrap=True)
    for name, value in settings_of(stage.url).items():
        out.print(f"  export {name}={value}", soft_wrap=True)
    out.print("  orgshare status")
    out.print("Its clock stands still until somebody moves it, and with it events, timers and functions:")
    out.print(f"  localcloud clock --url {stage.url} --advance {WATCH:.0f}", soft_wrap=True)
