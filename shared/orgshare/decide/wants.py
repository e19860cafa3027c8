"""What the rules that select an image want together: whom, by which channel, and how carefully.

Thousands of images are selected by the same few rules, so this is worked out once for each set of rules and owner.

What can go wrong is a pair that is wanted and has no channel, or two. So every wanted account is either one that
resource shares reach, or one that gets a direct grant; which of the two is decided here, and only a lasting cause that
the facts prove may change it for an image.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from orgshare.decide.audience import Resolved
from orgshare.decide.targets import NO_AUDIENCE, DirectoryAudience, directory_audience
from orgshare.policy.model import MODES, Mode, Policy
from orgshare.words import NOBODY, Organization, Service


class Want(Struct, frozen=True):
    """What a set of rules wants together.

    ``everybody`` is wanted by any of them, ``addable`` by rules under which something may be added. Of these,
    ``directory`` is the audience that resource shares should reach, and ``direct`` may get a direct grant if the
    directory cannot serve them. ``partners`` are those of them that are outside the organization. ``observed`` are
    wanted by rules that only observe. ``frozen`` says why nothing may be concluded about the audience of one of the
    rules. Of an encrypted image, some may not get it: ``unauthorized`` ones because no rule that wants them authorizes
    it, ``unreachable`` ones because those that do use the directory only, which is not known to work for such images.
    """

    rules: tuple[int, ...]
    names: tuple[str, ...]
    everybody: frozenset[str]
    addable: frozenset[str]
    in_order: tuple[str, ...]
    directory: DirectoryAudience
    direct: frozenset[str]
    partners: frozenset[str]
    observed: frozenset[str]
    frozen: str
    mode: Mode
    unauthorized: frozenset[str] = NOBODY
    unreachable: frozenset[str] = NOBODY


def want(
    policy: Policy,
    audiences: tuple[Resolved, ...],
    organization: Organization,
    rules: tuple[int, ...],
    owner: str,
    service: Service = "ecs",
    *,
    keyed: bool = False,
) -> Want:
    """What these rules want for an image of this owner, of a service: ``eds`` has direct grants only.

    So has one that is ``keyed``, since it is known to be encrypted: what its sharing role would have to say for a whole
    organization is not documented.
    """
    chosen = [audiences[index] for index in rules]
    shown = policy.mode == "observe"  # then the plan shows everything, and nothing is carried out
    in_force = [audience for audience in chosen if shown or audience.rule.mode != "observe"]
    clear = [audience for audience in in_force if not audience.frozen]
    authorizing = [a for a in clear if not keyed or a.rule.encrypted == "authorize"]
    adding = [a for a in authorizing if not keyed or a.rule.channel != "directory"]
    by_directory = [a for a in adding if not keyed and a.rule.channel != "direct" and service == "ecs"]
    everybody = _wanted(chosen) - {owner}
    addable = _wanted(adding) - {owner}
    return Want(
        rules=rules,
        names=tuple(audience.rule.name for audience in chosen),
        everybody=everybody,
        addable=addable,
        in_order=tuple(sorted(addable)),
        directory=directory_audience(by_directory, policy, organization, owner) if by_directory else NO_AUDIENCE,
        direct=_wanted(audience for audience in adding if audience.rule.channel != "directory") - {owner},
        partners=NOBODY.union(*(audience.partners for audience in adding)) - {organization.management},
        observed=everybody - _wanted(in_force),
        frozen=next((audience.frozen for audience in chosen if audience.frozen), ""),
        mode="enforce" if shown else most_careful([audience.rule.mode for audience in chosen], policy.mode),
        unauthorized=_wanted(clear) - _wanted(authorizing) - {owner},
        unreachable=_wanted(authorizing) - addable - {owner},
    )


def most_careful(modes: Iterable[Mode], otherwise: Mode) -> Mode:
    """The most careful of some modes."""
    return min(modes, key=MODES.index, default=otherwise)


def _wanted(audiences: Iterable[Resolved]) -> frozenset[str]:
    return NOBODY.union(*(audience.wanted for audience in audiences))
