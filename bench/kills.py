"""``make kills``: a real ``apply`` is killed at random instants, and one more has to make everything as it should be.

Each time a deployment changes its mind about every channel: grants, revocations, a new resource share, and direct
grants that go once the share is sure. The process gets SIGKILL at one of its requests, in half of the cases before the
cloud carried it out, else before the answer reached it. The next ``apply --wait`` finds the lease of the dead, which
lives two seconds. Then the wanted state has to be there, all of it ours by the state, and nothing left to do.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

from msgspec import Struct

from bench.tables import markdown
from localcloud import HttpRequest, HttpResponse, LocalCloud
from localcloud.control import PREFIX
from localcloud.server import serving
from tests.support.processes import AFTER, Commands, by_channel, ended, not_owned, stored_world

KILLS = 50
LEASE = 2
WAIT = "60"
AT_ONCE = 2
"""How many deployments at a time: most of it is waiting."""


class Kill(Struct, frozen=True):
    """One kill: at which request, whether before the cloud carried it out, and what is wrong afterwards.

    ``action`` is the request's, and empty if the process was done before it came to it.
    """

    request: int
    before: bool
    action: str = ""
    wrong: tuple[str, ...] = ()


class _Doom:
    """Stands between a process and its cloud, counts its requests, and kills it at one of them (never at 0)."""

    def __init__(self, cloud: LocalCloud, request: int, *, before: bool) -> None:
        self.process: subprocess.Popen[str] | None = None
        self.requests = 0
        self.action = ""
        self._request, self._before = request, before
        self._handle = cloud.handle
        cloud.handle = self._counted  # type: ignore[method-assign]

    def _counted(self, request: HttpRequest) -> HttpResponse:
        if self.process is None or request.path.startswith(PREFIX):
            return self._handle(request)
        self.requests += 1
        if self.requests == self._request:
            self.action = request.headers.get("x-acs-action") or f"{request.method} of an object"
            if self._before:
                self.process.kill()
                self.process.wait()
                return HttpResponse(status=0, body=b"", dropped=True)
            answer = self._handle(request)
            self.process.kill()
            self.process.wait()
            return answer
        return self._handle(request)


def requests_of_one(folder: Path) -> int:
    """How many requests a run makes that nobody kills."""
    requests, kill = _one(folder, Kill(0, before=False))
    if kill.wrong:
        raise RuntimeError(f"without a kill: {kill.wrong}")
    return requests


def random_kills(number: int, requests: range, random: Random) -> list[Kill]:
    """So many kills at random ones of these requests, before or after each."""
    return [Kill(random.choice(requests), before=random.random() < 0.5) for _ in range(number)]


def kill_and_go_on(folder: Path, kills: Sequence[Kill], *, at_once: int) -> list[Kill]:
    """Kill runs, each in a deployment of its own, and let another run go on; what came of each."""
    folders = [folder / str(n) for n in range(len(kills))]
    for each in folders:
        each.mkdir()
    with ThreadPoolExecutor(at_once) as pool:
        return [kill for _, kill in pool.map(_one, folders, kills)]


def _one(folder: Path, kill: Kill) -> tuple[int, Kill]:
    """How many requests the first run made, and what came of the second."""
    cloud = LocalCloud.from_world(stored_world(), random=Random(1))
    with serving(cloud) as url:
        run = Commands(folder, url, lease=LEASE)
        run.begin_deployment()
        doom = _Doom(cloud, kill.request, before=kill.before)
        doom.process = run.begin("apply", "--yes", "--wait", WAIT)
        ended(doom.process)
        doom.process = None
        last = run("apply", "--yes", "--wait", WAIT)
        wrong = [f"the next apply ended with {last.returncode}: {last.stdout}{last.stderr}"] if last.returncode else []
        access = by_channel(cloud.access())
        if access != AFTER:
            wrong.append(f"who has what is {access}")
        world = cloud.world()
        wrong += [
            f"{entity} on {place} is not ours by the state"
            for place, entity in not_owned(
                world.grants,
                {share: (*row.images, *row.targets) for share, row in world.resource_shares.items()},
                run.ledger(),
            )
        ]
        wrong += [f"left to do: {change.why}" for change in run.left_to_do()]
    return doom.requests, Kill(kill.request, kill.before, doom.action, tuple(wrong))


def main() -> int:
    """Kill fifty runs and say what came of them; 1 if anything is not as it should be."""
    with tempfile.TemporaryDirectory() as folder:
        (whole := Path(folder) / "whole").mkdir()
        requests = requests_of_one(whole)
        kills = kill_and_go_on(
            Path(folder), random_kills(KILLS, range(1, requests + 1), Random(KILLS)), at_once=AT_ONCE
        )
    rows = [(k.request, "before" if k.before else "after", k.action or "(done)", "; ".join(k.wrong)) for k in kills]
    print(markdown("Killed applies", ("request", "carried out", "killed at", "wrong afterwards"), sorted(rows)))
    bad, missed = sum(bool(kill.wrong) for kill in kills), sum(not kill.action for kill in kills)
    print(
        f"\n{len(kills)} applies, {len(kills) - missed} killed at a random one of {requests} requests, "
        f"{missed} done before; "
        f"{len(kills) - bad} of {len(kills)} as wanted, owned and in step after one more"
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
