"""Performing a story: the real program, people, and time, one after the other, with the oracle looking on.

What can go wrong is a performance that is not the same twice. So everything that differs between two processes is kept
out: threads take turns by the seed, the clock is the story's, ids are made from the seed, and nothing is iterated in
the order of a set.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import parse_qsl

import yaml

from localcloud import HttpRequest, HttpResponse, LocalCloud, ManualClock
from localcloud.inprocess import in_process
from localcloud.ram.models import trust_text
from localcloud.world import world_document
from orgshare.errors import ConfigurationError
from orgshare.policy.loading import parse
from orgshare.policy.model import Policy
from simulation.deployment import Deployment, Died, EndedEarly
from simulation.events import Events
from simulation.oracle import Oracle, Snapshot, Violation
from simulation.oracle.settling import check_settled
from simulation.people import People
from simulation.stories import (
    FAR,
    OWNER,
    OWNER_2,
    REGION,
    Step,
    Story,
    is_silent,
    policy_of,
    sharing_role,
    short,
    told,
    world_of,
)
from simulation.turns import Turns

START = datetime(2026, 11, 21, 11, 0, 0, tzinfo=timezone.utc).timestamp()
A_CALL = 0.05
"""Seconds that a call takes."""

STALLS = "after put shards"
"""Where a run may stand still until the others are over: it holds a shard now, and has not used that yet."""

ROUNDS = 16
WRITES = (
    "ModifyImageSharePermission",
    "ModifyImagePermission",
    "CopyImage",
    "UpdateRole",
    "CreateResourceShare",
    "AssociateResourceShare",
    "DisassociateResourceShare",
    "DeleteResourceShare",
    "UpdateResourceShare",
    "EnableSharingWithResourceDirectory",
)
_RUN = re.compile(r"orgshare/\S+ run/(\S+)")


@dataclass
class Outcome:
    """What became of a story."""

    story: Story
    violations: list[Violation]
    log: list[str]
    notes: list[str]
    seen: Counter[str] = field(default_factory=Counter)
    """How often what was met: `step:move`, `dies:before put guard`, `fault:throttle`, `switch:over_ten=first` …"""
    performed: int = 0


def perform(story: Story) -> Outcome:
    """Perform a story until it ends or a rule is broken."""
    return _Performance(story).outcome()


class _Performance:
    """One story on its way."""

    def __init__(self, story: Story) -> None:
        self._story = story
        self._seen: Counter[str] = Counter()
        self._log: list[str] = []
        self._notes: list[str] = []
        self._clock = ManualClock(START)
        self._turns = Turns(self._clock.now)
        self._cloud = LocalCloud.from_world(world_of(story.setting), clock=self._clock, random=Random(story.seed))
        self._handle = self._cloud.handle
        self._cloud.handle = self._answer  # type: ignore[method-assign]
        self._cloud.on_request(self._logged)
        self._policy_document = policy_of(story.setting)
        self._policies: dict[str, Policy] = {}
        self._runs = 0
        self._faults: list[dict[str, Any]] = []
        self._stderr = io.StringIO()
        self._fates: dict[str, tuple[int, str]] = {}
        self._stalls: dict[str, int] = {}
        self._dead: set[str] = set()
        self._died_at: dict[str, str] = {}
        self.oracle = Oracle(
            self._policy_document, world_document(self._cloud.world()), self._snapshot(), now=self._clock.now()
        )
        self._people = People(self._cloud, self.oracle, self._snapshot, story.setting)
        self._events = Events()
        for key, position in story.setting["switches"].items():
            self._seen[f"switch:{key}={position}"] += 1
        for secret in ("hush-management", "hush-images"):
            self.oracle.secret(secret)
        self._deployment = Deployment(
            story, clock=self._clock.now, advance=self._pause, moved=self._state_moved, put=self._put
        )

    def outcome(self) -> Outcome:
        """Perform it."""
        performed = 0
        with in_process(self._cloud, sleep=lambda _: None), contextlib.redirect_stderr(self._stderr):
            self._deployment.begin()
            for step in self._story.steps:
                self._step(step)
                performed += 1
                if self.oracle.violations:
                    break
            else:
                self._settle()
        self._seen.update({f"rule:{rule}": times for rule, times in self.oracle.looked.items()})
        self._seen["steps"] += performed
        self._seen["runs"] += self._runs
        self._seen["requests"] += len(self._log)
        return Outcome(self._story, self.oracle.violations, self._log, self._notes, self._seen, performed)

    # --- steps

    def _step(self, step: Step) -> None:
        self._seen[f"step:{step['kind']}"] += 1
        time = datetime.fromtimestamp(self._clock.now(), timezone.utc)
        before = dict(self._died_at)
        applies = self._do(step)
        deaths = [f"{run} dies {place}" for run, place in self._died_at.items() if run not in before]
        note = f"{time:%d %H:%M} {told(step)}" + ("" if applies else " (nothing happens)")
        self._notes.append("; ".join([note, *deaths]))
        self.oracle.said(self._stderr.getvalue(), "a log")
        self._stderr.seek(0)
        self._stderr.truncate()

    def _do(self, step: Step) -> bool:
        """Do one step; whether it made sense here."""
        kind = step["kind"]
        if kind == "wait":
            self._wait(step["seconds"])
            return True
        if kind == "run":
            return self._run_step(step)
        if kind == "deliver":
            return self._deliver(step)
        if kind == "lose-events":
            return self._events.lose()
        if kind == "policy":
            return self._edit(step)
        if kind == "fault":
            self._seen[f"fault:{step['fault']}"] += 1
            self._faults = [{"operation": step["operation"], "kind": step["fault"], "every": step["every"]}]
            self._set_faults()
            return True
        if kind == "no-fault":
            had, self._faults = bool(self._faults), []
            self._set_faults()
            return had
        if kind in ("approve", "reject", "pause", "resume", "retire", "take-back"):
            return self._decide(step)
        self._clock.advance(1)
        if not self._people.act(step):
            return False
        self._events.happened(step, self._cloud.world(), self._clock.now())
        return True

    def _wait(self, seconds: float) -> None:
        """Time passes, but never while a call that writes is on its way."""
        while not self._turns.calm():
            self._turns.hand_over()
        self._clock.advance(seconds)

    def _pause(self, seconds: float) -> None:
        """A run waits before it tries again."""
        self._wait(seconds)
        self._turns.hand_over()

    def _set_faults(self, *more: Mapping[str, Any]) -> None:
        faults = [*more, *self._faults]
        self._cloud.patch({"faults": faults})
        self.oracle.lying = frozenset(f["operation"] for f in faults if is_silent(f["operation"], f["kind"]))
        self.oracle.failing = frozenset(f["operation"] for f in faults)

    def _decide(self, step: Step) -> bool:
        """A person approves, rejects, pauses, resumes, retires or takes that back, as the command line does it."""
        self._clock.advance(1)
        if "image" in step and step["image"] not in self._cloud.world().images:
            return False
        if not self._deployment.decided_by_person(step):
            return False
        if "image" in step:
            self.oracle.retired(step["image"], back=step["kind"] == "take-back", now=self._clock.now())
        return True

    # --- the policy

    def _edit(self, step: Step) -> bool:
        self._clock.advance(1)
        edited = json.loads(json.dumps(self._policy_document))
        what = step["what"]
        rules = edited["rules"]
        if what in ("audience", "channel", "copy_to", "remove"):
            if step["number"] >= len(rules) or (what == "remove" and len(rules) < 2):
                return False
            if what == "remove":
                del rules[step["number"]]
            else:
                rules[step["number"]][what] = step[what]
                if not step[what]:
                    del rules[step["number"]][what]
        elif what == "regions":
            edited["owners"][0]["regions"] = step["regions"]
        elif what == "owner":
            whole = policy_of(self._story.setting)["owners"]
            if len(whole) < 2:
                return False
            edited["owners"] = whole[: 1 if len(edited["owners"]) > 1 else 2]
        elif what == "mode":
            edited["mode"] = step["mode"]
            for rule in rules:
                rule.pop("mode", None)
        else:
            edited[what] = step[what]
        if edited["mode"] == "observe":
            for rule in rules:
                rule.pop("mode", None)
        return self._take_policy(edited)

    def _take_policy(self, edited: dict[str, Any]) -> bool:
        if edited == self._policy_document:
            return False
        self._policy_document = edited
        self.oracle.policy_changed(edited, now=self._clock.now())
        return True

    def _policy(self) -> Policy:
        known = json.dumps(self._policy_document)
        if known not in self._policies:
            text = yaml.safe_dump(self._policy_document, sort_keys=False)
            self._policies[known] = parse(text, source="policy.yaml", base=Path("/"))
        return self._policies[known]

    # --- runs

    def _run_step(self, step: Step) -> bool:
        lie = step.get("lie")
        if lie:
            self._seen[f"fault:{lie['fault']}"] += 1
            self._set_faults({"operation": lie["operation"], "kind": lie["fault"], "every": lie["every"]})
        work: list[Callable[[], None]] = []
        for run in step["runs"]:
            function, event = self._events.start(run, self._cloud.world(), self._clock.now())
            work.append(self._piece(function, event, run))
        work += [self._meanwhile(other) for other in step.get("meanwhile", ())]
        if len(work) > 1:
            self._seen["together"] += 1
        try:
            self._turns.all(work, seed=step.get("turns", 0), pace=step.get("pace", 1.0))
        finally:
            if lie:
                self._set_faults()
        return True

    def _deliver(self, step: Step) -> bool:
        event = self._events.take(step["which"], keep=step["keep"])
        if event is None:
            return False
        work = [self._piece(*event, {}) for _ in range(step["copies"])]
        self._turns.all(work, seed=step["turns"], pace=0.4)
        return True

    def _meanwhile(self, step: Step) -> Callable[[], None]:
        def act() -> None:
            self._seen[f"step:{step['kind']}"] += 1
            self._do(step)

        return act

    def _piece(self, function: str, event: bytes, run: Mapping[str, Any]) -> Callable[[], None]:
        self._runs += 1
        name = f"r{self._runs}"
        if "dies" in run:
            self._fates[name] = (run["dies"], run.get("at", ""))
        if "stalls" in run:
            self._stalls[name] = run["stalls"]

        def go() -> None:
            self._run(name, function, event, run.get("deadline"))

        return go

    def _run(self, name: str, function: str, event: bytes, deadline: float | None) -> dict[str, Any] | None:
        """One run, as far as it lives; its report if it has one."""
        lag = self._cloud.world().delays.membership + 1
        self.oracle.run_begins(name, self._snapshot(), now=self._clock.now(), lag=lag)
        self._seen[f"start:{function}"] += 1
        report = None
        try:
            policy = self._policy()
            report = self._deployment.run(name, policy, function, event, deadline)
            self.oracle.said(json.dumps(report), "a report")
        except Died:
            self._seen["died"] += 1
        except (EndedEarly, ConfigurationError) as ended:
            self._seen[f"ended:{ended if isinstance(ended, EndedEarly) else 'a policy with a mistake'}"] += 1
        except Exception as problem:  # noqa: BLE001 - that is what is looked for
            text = f"{name} ({function}): {type(problem).__name__}: {problem}"
            self.oracle.wrong("no run breaks", text)
        finally:
            self.oracle.run_ends(name)
        return report

    # --- what passes between a run and its surroundings

    def _answer(self, request: HttpRequest) -> HttpResponse:
        match = _RUN.search(request.headers.get("user-agent", ""))
        action = request.headers.get("x-acs-action", "")
        if match is None or not action:
            return self._handle(request)
        run = match[1]
        self._alive(run)
        write = action in WRITES
        self._turns.hand_over(write=write)
        self._clock.advance(A_CALL)
        operation = f"{request.host.partition('.')[0].partition('-')[0]}:{action}"
        if not write:
            answer = self._handle(request)
            if action == "AssumeRole":
                self._note_secrets(answer)
            self.oracle.asked(run, operation)
            return answer
        self._instant(run, f"before {operation}")
        before = self._snapshot()
        images = self._cloud.world().images.keys()
        answer = self._handle(request)
        params = dict(parse_qsl(request.query)) | _form(request)
        made = self._cloud.world().images.keys() - images
        if made:
            self.oracle.world_changed(world_document(self._cloud.world()), now=self._clock.now())
        self.oracle.wrote(run, operation, params, before, self._snapshot(), now=self._clock.now())
        if action == "CopyImage":
            self.oracle.copied(run, params, frozenset(made), now=self._clock.now())
        self.oracle.asked(run, operation)
        self._instant(run, f"after {operation}")
        return answer

    def _state_moved(self, run: str, operation: str, name: str, over: bool) -> None:
        if run not in self._deployment.PEOPLE:
            self._alive(run)
        changes = operation in ("put", "delete")
        if not over:
            self._turns.hand_over(write=False)
            self._clock.advance(A_CALL / 5)
        if changes:
            self._instant(run, f"{'after' if over else 'before'} {operation} {name.partition('/')[0]}")

    def _put(self, name: str, data: bytes) -> None:
        self.oracle.stored(name, data)

    def _alive(self, run: str) -> None:
        if run in self._dead:
            raise Died

    def _instant(self, run: str, place: str) -> None:
        if place == STALLS and self._stalls.get(run, 0):
            self._stalls[run] -= 1
            while not self._stalls[run] and not self._turns.alone:
                self._turns.hand_over()
        left, at = self._fates.get(run, (0, ""))
        if not left or at not in ("", place):
            return
        self._fates[run] = (left - 1, at)
        if left == 1:
            self._seen[f"dies:{place}"] += 1
            self._dead.add(run)
            self._died_at[run] = place
            raise Died

    def _note_secrets(self, answer: HttpResponse) -> None:
        with contextlib.suppress(ValueError):
            given = json.loads(answer.body).get("Credentials", {})
            self.oracle.secret(given.get("AccessKeySecret", ""))
            self.oracle.secret(given.get("SecurityToken", ""))

    def _logged(self, entry: Any) -> None:
        self._log.append(json.dumps({name: getattr(entry, name) for name in entry.__slots__}))

    def _snapshot(self) -> Snapshot:
        channels = self._cloud.channels()
        world = self._cloud.world()
        shares = world.resource_shares
        roles = {owner: world.roles[arn] for owner in (OWNER, OWNER_2) if (arn := sharing_role(owner)) in world.roles}
        return Snapshot(
            direct={image: ways["direct"] for image, ways in channels.items() if "direct" in ways},
            covered={image: ways["directory"] for image, ways in channels.items() if "directory" in ways},
            rows={share: (frozenset(row.images), frozenset(row.targets)) for share, row in shares.items()},
            places={share: (row.owner, row.region) for share, row in shares.items()},
            roles={owner: trust_text(role) for owner, role in roles.items()},
        )

    # --- the end

    def _settle(self) -> None:
        """Put everything in order and let it come to rest; then everything is as the policy says."""
        self._faults = []
        self._cloud.patch(
            {
                "faults": [],
                "delays": dict.fromkeys(("association", "coverage", "membership", "share", "image"), 0),
                "quotas": {"accounts_per_image": 50, "eds_shares_per": self._story.setting["desk_scope"]},
                "switches": {"deprecated_removal": "ok"},
                "directory": {"sharing_enabled": True},
            }
        )
        self.oracle.lying = self.oracle.failing = frozenset()
        self._clock.advance(3600)
        self._people.images_become_available()
        self._people.roles_are_usable()
        self._deployment.decided_by_person({"kind": "resume"})
        self._take_policy(self._ordered_policy())
        times = iter((2.2 * 3600, 25 * 3600))
        report: dict[str, Any] | None = None
        quiet = 1 if self._policy_document["safety"].get("unmanaged") == "revoke" else 0  # seen by two sweeps first
        # So is that an image is gone, which ends what is needed for it: a principal, or a place.
        quiet = max(quiet, 2 if self._story.setting["encryption"] or self._story.setting["desktops"] else 0)
        stays = 0
        for _ in range(ROUNDS):
            report = self._sweep()
            if self.oracle.violations:
                return
            if report is None:
                self._clock.advance(600)
                continue
            if report["held"]:
                self._deployment.decided_by_person({"kind": "approve"})
                self._clock.advance(60)
            elif report["changes"] or report["failed"] or (report["pending"] and not (_stays(report) and stays > 3)):
                stays = stays + 1 if _stays(report) else 0
                self._clock.advance(next(times, 16 * 60))
            elif quiet:
                quiet -= 1
                self._clock.advance(60)
            else:
                break
        else:
            left = (
                {} if report is None else {k: report[k] for k in ("changes", "pending", "held", "failed", "incomplete")}
            )
            self.oracle.wrong("it settles", f"not after {ROUNDS} sweeps: {json.dumps(left)}")
            return
        for problem in check_settled(self.oracle, report, self._snapshot(), now=self._clock.now()):
            self.oracle.wrong("it settles", problem)
        again = self._sweep()
        self.oracle.looked["the second plans nothing"] += 1
        if again is None or again["changes"]:
            self.oracle.wrong("the second plans nothing", json.dumps((again or {}).get("changes")))

    def _sweep(self) -> dict[str, Any] | None:
        self._runs += 1
        name = f"r{self._runs}"
        function, event = self._events.start({"start": "timer"}, self._cloud.world(), self._clock.now())
        return self._run(name, function, event, None)

    def _ordered_policy(self) -> dict[str, Any]:
        """The policy without what makes it careful, and without what freezes it."""
        edited: dict[str, Any] = json.loads(json.dumps(self._policy_document))
        edited["mode"] = "enforce"
        whole = policy_of({**self._story.setting, "quota": 50})
        edited["owners"] = whole["owners"]
        edited["owners"][0]["regions"] = [REGION, FAR]
        world = self.oracle.world
        for taken in (edited["never"], *(rule["audience"].get("except", {}) for rule in edited["rules"])):
            if "accounts" in taken:
                taken["accounts"] = [a for a in taken["accounts"] if a in world.members]
            if "folders" in taken:
                taken["folders"] = [f for f in taken["folders"] if f in world.parents]
        for rule in edited["rules"]:
            rule.pop("mode", None)
            if rule["images"].get("service") == "eds":
                rule.pop("copy_to", None)
            if "eds" in rule["images"].get("service", "") and rule["channel"] == "directory":
                rule["channel"] = "auto"
        if any(rule["channel"] == "directory" for rule in edited["rules"]):
            edited["safety"] = {k: v for k, v in edited["safety"].items() if k not in ("grace", "on_leave")}
        return edited


def _stays(report: Mapping[str, Any]) -> bool:
    """Whether nothing is under way but what is said to stay as it is, until somebody does something."""
    return bool(report["pending"]) and all(row["status"].startswith("stays for now") for row in report["pending"])


def _form(request: HttpRequest) -> dict[str, str]:
    if request.body and request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return dict(parse_qsl(request.body.decode("utf-8", "replace")))
    return {}


def heading(outcome: Outcome) -> Iterator[str]:
    """The rules that a story broke, for a person."""
    for violation in outcome.violations[:3]:
        yield re.sub(r"[1-9][0-9]{15}", lambda match: short(match[0]), str(violation))
