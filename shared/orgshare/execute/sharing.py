"""Sharing one image: from the accounts to add and remove to what is known to have become of each.

A call takes at most 10 accounts to add and 10 to remove; the vendor drops the rest without a word
(https://help.aliyun.com/en/ecs/developer-reference/api-ecs-2014-05-26-modifyimagesharepermission). Whether a call that
is refused for one account has served the others is not documented, nor what adding an account twice does. So after a
refusal or a lost answer the grants are read before anything is sent again, removals and additions are sent apart, and
a refused batch is halved until the account that caused it is named and the others are served.

Of Elastic Desktop Service the console shares with one account at a time, and the API takes several: what a call that is
refused for that says is not documented. So there, as long as no call with several was accepted, a refused one is sent
again account by account; if all are served, the number was the cause, and the rest of the run goes one by one.

What can go wrong: believing the call instead of the reading. So the outcome carries the reading that follows, and
whoever records ownership goes by that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from orgshare.errors import ENDS_WORK, NoAnswer, OrgshareError, Refused, TryAgain
from orgshare.observe.images import read_grants
from orgshare.ports import ImageService
from orgshare.words import NOBODY, Grant

ACCOUNTS_A_CALL = 10

TRIES = 3
"""How often the same accounts are sent again after an answer that was lost."""

OF_THE_IMAGE = frozenset(
    {
        "AssumeRoleError",
        "InvalidOperation.ServiceKeyEncryptedImageUnsupported",
        "InvalidParameter.KMSKeyId.CMKUnauthorized",
        "InvalidParameter.KMSKeyId.CMKNotEnabled",
        "OperationDeined.FullImage",
        "OperationDeined.EncryptedSnapshot",
        "OperationDenied.InvalidImageStatus",
        "IncorrectImageStatus",
        "InvalidImageId.NotFound",
        "Image.Public",
    }
)
"""Codes that speak of the image and so of every account: halving would only repeat them.

https://help.aliyun.com/en/ecs/developer-reference/api-ecs-2014-05-26-modifyimagesharepermission
"""

Direction = Literal["add", "remove"]


class Batches:
    """How many accounts one call may have, found out during a run and kept for the rest of it."""

    def __init__(self) -> None:
        self.most = ACCOUNTS_A_CALL
        self.doubted = True
        """Whether no call with several accounts was accepted yet."""

    def accepted(self, accounts: int) -> None:
        """A call with so many accounts was accepted."""
        self.doubted &= accounts < 2

    def one_by_one(self) -> None:
        """Several were refused together, and each alone was accepted."""
        self.most = 1


class Work(Struct, frozen=True):
    """What is to be done to one image: ``rows`` accounts have a grant now, ``quota`` accounts may have one.

    Of ``covered`` accounts, which a resource share may reach, a row says nothing: it may be the share's. ``batches`` is
    how many accounts a call takes, where that has to be found out.
    """

    image: str
    add: tuple[str, ...]
    remove: tuple[str, ...]
    rows: int
    quota: int
    covered: frozenset[str] = NOBODY
    batches: Batches | None = None

    def apart(self) -> tuple[Work, ...]:
        """The removals, and the additions, as far as there are any."""
        parts = (replace(self, add=()), replace(self, remove=()))
        return tuple(part for part in parts if part.add or part.remove)


class Outcome(Struct, frozen=True):
    """What became of the work.

    ``accepted`` accounts were taken by a call or found there by a reading, ``revoked`` ones were taken by a call,
    ``gone`` ones were only found not to be there any more; ``refused`` and ``unremovable`` ones were not served, each
    with the vendor's error. ``grants`` is the reading afterwards, ``None`` if it failed: it says whether what was
    accepted is there. ``failed`` is why the work was given up before its end.
    """

    image: str
    accepted: frozenset[str] = frozenset()
    revoked: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()
    refused: tuple[tuple[str, Refused], ...] = ()
    unremovable: tuple[tuple[str, Refused], ...] = ()
    grants: tuple[Grant, ...] | None = None
    failed: OrgshareError | None = None


class _Progress:
    """What is known so far of one image's work; lives as long as ``carry_out``."""

    def __init__(self) -> None:
        self.accepted: set[str] = set()
        self.revoked: set[str] = set()
        self.gone: set[str] = set()
        self.refused: dict[str, Refused] = {}
        self.unremovable: dict[str, Refused] = {}

    def note_refused(self, direction: Direction, accounts: Iterable[str], error: Refused) -> None:
        place = self.refused if direction == "add" else self.unremovable
        place.update((account, error) for account in accounts)


def carry_out(service: ImageService, work: Work) -> Outcome:
    """Do the work on one image and read back what became of it. What failed is in the outcome, not raised.

    Credentials that end half way are such a failure too: what was shared until then has to be recorded.
    """
    progress = _Progress()
    failed: OrgshareError | None = None
    grants: tuple[Grant, ...] | None = None
    sender = _Sender(service, work, progress)
    try:
        for add, remove in _calls(work):
            sender.send(add, remove)
        grants = read_grants(service, work.image)
    except ENDS_WORK as error:
        failed = error
    return Outcome(
        image=work.image,
        accepted=frozenset(progress.accepted),
        revoked=frozenset(progress.revoked),
        gone=frozenset(progress.gone - progress.revoked),
        refused=tuple(sorted(progress.refused.items())),
        unremovable=tuple(sorted(progress.unremovable.items())),
        grants=grants,
        failed=failed,
    )


def both(first: Outcome, second: Outcome) -> Outcome:
    """What became of one image's work that was done in two parts; the later reading counts."""
    return replace(
        second,
        accepted=first.accepted | second.accepted,
        revoked=first.revoked | second.revoked,
        gone=(first.gone | second.gone) - first.revoked - second.revoked,
        refused=(*first.refused, *second.refused),
        unremovable=(*first.unremovable, *second.unremovable),
        failed=first.failed or second.failed,
    )


def _calls(work: Work) -> Iterable[tuple[Sequence[str], Sequence[str]]]:
    """The calls of one image: removals first and alone where both together would pass the quota, else both in one."""
    add, remove = list(_tens(work.add)), list(_tens(work.remove))
    if work.rows + len(work.add) > work.quota:
        yield from (((), batch) for batch in remove)
        yield from ((batch, ()) for batch in add)
        return
    for number in range(max(len(add), len(remove))):
        yield (add[number] if number < len(add) else (), remove[number] if number < len(remove) else ())


def _tens(accounts: Sequence[str]) -> Iterable[Sequence[str]]:
    return (accounts[i : i + ACCOUNTS_A_CALL] for i in range(0, len(accounts), ACCOUNTS_A_CALL))


class _Sender:
    """Sends batches of one image and sorts out what an answer leaves open."""

    def __init__(self, service: ImageService, work: Work, progress: _Progress) -> None:
        self._service = service
        self._image = work.image
        self._covered = work.covered
        self._progress = progress
        self._batches = work.batches

    def send(self, add: Sequence[str], remove: Sequence[str]) -> None:
        most = self._batches.most if self._batches is not None else ACCOUNTS_A_CALL
        if len(add) + len(remove) > 1 and most == 1:
            for account in add:
                self.send((account,), ())
            for account in remove:
                self.send((), (account,))
            return
        try:
            self._call(add, remove)
        except Refused as error:
            if remove and add:
                self._after_doubt(add, remove)
            elif add:
                self._halve("add", add, error)
            else:
                self._halve("remove", remove, error)
        except NoAnswer as error:
            self._after_doubt(add, remove, error)

    def _call(self, add: Sequence[str], remove: Sequence[str]) -> None:
        self._service.share(self._image, add=add, remove=remove)
        if self._batches is not None:
            self._batches.accepted(len(add) + len(remove))
        self._progress.accepted.update(add)
        self._progress.revoked.update(remove)

    def _missing(self, direction: Direction, accounts: Sequence[str]) -> Sequence[str]:
        """Read back which of these accounts the last call did not serve; note those that it did."""
        listed = {grant.account for grant in read_grants(self._service, self._image)}
        if direction == "add":
            listed -= self._covered
        served = [a for a in accounts if (a in listed) == (direction == "add")]
        (self._progress.accepted if direction == "add" else self._progress.gone).update(served)
        return [a for a in accounts if a not in served]

    def _after_doubt(self, add: Sequence[str], remove: Sequence[str], lost: NoAnswer | None = None) -> None:
        """Removals alone, then additions, each only for whom the reading says that it is still to be done."""
        for direction, accounts in (("remove", remove), ("add", add)):
            self._until_answered(direction, accounts, lost)  # type: ignore[arg-type]

    def _until_answered(self, direction: Direction, accounts: Sequence[str], lost: TryAgain | None) -> None:
        for _ in range(TRIES):
            accounts = self._missing(direction, accounts) if accounts else ()
            if not accounts:
                return
            try:
                self._call(*((accounts, ()) if direction == "add" else ((), accounts)))
            except Refused as error:
                self._halve(direction, accounts, error)
                return
            except NoAnswer as error:
                lost = error
            else:
                return
        if lost is not None and self._missing(direction, accounts):
            raise lost

    def _halve(self, direction: Direction, accounts: Sequence[str], error: Refused) -> None:
        """A refused batch: note the culprit if it is one account, else serve the halves apart."""
        accounts = self._missing(direction, accounts)
        if not accounts:
            return
        if len(accounts) == 1 or error.code in OF_THE_IMAGE:
            self._progress.note_refused(direction, accounts, error)
            return
        if self._batches is not None and self._batches.doubted:
            self._one_by_one(self._batches, direction, accounts)
            return
        middle = (len(accounts) + 1) // 2
        for half in (accounts[:middle], accounts[middle:]):
            try:
                self._call(*((half, ()) if direction == "add" else ((), half)))
            except Refused as again:
                self._halve(direction, half, again)
            except NoAnswer as lost:
                self._until_answered(direction, half, lost)

    def _one_by_one(self, batches: Batches, direction: Direction, accounts: Sequence[str]) -> None:
        """A refused batch where the number itself may be the cause: each account alone, the culprit among them too."""
        for account in accounts:
            self.send(*(((account,), ()) if direction == "add" else ((), (account,))))
        place = self._progress.refused if direction == "add" else self._progress.unremovable
        if not place.keys() & set(accounts):
            batches.one_by_one()
