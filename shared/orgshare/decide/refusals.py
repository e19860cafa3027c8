"""Who gets a direct grant now, and who does not and why: the rules of the service, its quota, and what it said before.

What can go wrong is an account that is left out without a word. So everybody who is wanted and not served is named in
a refusal, with how to mend it.

https://help.aliyun.com/en/ecs/developer-reference/api-ecs-2014-05-26-modifyimagesharepermission
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import get_args

from orgshare.decide.plan import Reason, Refusal, first_accounts
from orgshare.decide.wants import Want
from orgshare.ledger import RememberedRefusal
from orgshare.words import NOBODY, Image

ACROSS_SITES: Reason = "marketplace-across-sites"
"""An image that comes from the Marketplace is not shared between the China site and the International site.

https://www.alibabacloud.com/help/doc-detail/25463.htm
"""

REFUSAL_STANDS = timedelta(minutes=15)
"""How long a refusal of the cloud is believed before the same grant is tried again."""

SERVICE_KEY_STANDS = timedelta(days=30)
"""How long it is believed of an encrypted image that it is under the service's key.

An image does not change its key, and no reading tells one key from the other; so each try would let accounts into the
sharing role in vain.
"""


def stands(refusal: RememberedRefusal, now: datetime, *, encrypted: bool) -> bool:
    """Whether a refusal is still believed of an image that is, or may be, ``encrypted``."""
    if refusal.reason == "encrypted-with-service-key" and encrypted:
        return now - refusal.at < SERVICE_KEY_STANDS
    return now - refusal.at < REFUSAL_STANDS


def direct_additions(
    now: datetime,
    want: Want,
    image: Image,
    remembered: tuple[RememberedRefusal, ...],
    missing: frozenset[str],
    free: int,
    too_many: str,
    *,
    elsewhere: frozenset[str] = NOBODY,
) -> tuple[tuple[str, ...], tuple[Refusal, ...]]:
    """Which of the missing accounts get a grant, and the refusals for the others. The image itself can be shared.

    ``too_many`` says how it is mended that there are more of them than ``free`` places; ``elsewhere`` are accounts on
    another of the vendor's sites, with which this image cannot be shared.
    """
    refusals = []
    if apart := missing & elsewhere:
        refusals.append(refused(image, want, ACROSS_SITES, apart, remedy_of(ACROSS_SITES)))
        missing -= apart
    for refusal in remembered:
        if not stands(refusal, now, encrypted=bool(image.encrypted)):
            continue
        concerned = missing.intersection(refusal.accounts) if refusal.accounts else missing
        if concerned:
            again = (refusal.at + REFUSAL_STANDS).strftime("%H:%M")
            later = "" if now - refusal.at >= REFUSAL_STANDS else f"; tried again after {again} UTC"
            reason = _reason(refusal, image)
            remedy = f"{remedy_of(reason)}; the cloud said {refusal.code}{later}"
            refusals.append(refused(image, want, reason, concerned, remedy))
            missing -= concerned
    if len(missing) > max(free, 0):
        places = max(free, 0)
        chosen = tuple(_first(want.in_order, missing.__contains__, places))
        left_out = missing.difference(chosen)
        refusals.append(refused(image, want, "over-quota", left_out, too_many))
        return chosen, tuple(refusals)
    return tuple(sorted(missing)), tuple(refusals)


def _reason(refusal: RememberedRefusal, image: Image) -> Reason:
    """What the cloud's refusal means for this image: other images than those of the Marketplace may meet it too."""
    reason = reason_named(refusal.reason)
    return "across-sites" if reason == ACROSS_SITES and not image.product_code else reason


def _first(ordered: Iterable[str], wanted: Callable[[str], bool], most: int) -> Iterable[str]:
    taken = 0
    for account in ordered:
        if taken == most:
            return
        if wanted(account):
            taken += 1
            yield account


def refused_as_it_is(image: Image) -> tuple[Reason, str] | None:
    """The rule of the service that an image's own row already shows to stand against sharing it."""
    if image.alias != "self":
        return "not-own", remedy_of("not-own")
    if image.public:
        return "community", remedy_of("community")
    if image.status == "Deprecated":
        return "deprecated", remedy_of("deprecated")
    if image.status != "Available":
        return "not-available", f"its status is {image.status}; it is shared when it is Available"
    if image.encrypted and not image.keyed:
        return "encrypted-refused", _EDS_ENCRYPTED
    return None


_EDS_ENCRYPTED = "Elastic Desktop Service shares no encrypted image: use an unencrypted copy"
"""https://alibabacloud.com/help/en/wuying-workspace/share-or-unshare-a-custom-image"""

_REMEDIES: dict[str, str] = {
    "not-own": "only its owner can share it: name an image of the owner, or copy it within the owner's account",
    "community": "a community image is visible to everybody and cannot be shared: take it out of the rule",
    "deprecated": "who has it keeps it, nobody new gets it: activate the image or share its successor",
    "encrypted-refused": (
        "it is encrypted: let the rule say encrypted: authorize if its audience may use the owner's key (an image "
        "under the service's own key has to be copied with a customer key first), or share an unencrypted copy"
    ),
    "encrypted-with-service-key": "copy the image with a customer key of your own (CopyImage) and share the copy",
    "encrypted-without-role": (
        "create the role AliyunECSShareEncryptImageDefaultRole in the owner's account, with a policy that lets it use "
        "the key, and let the rule say encrypted: authorize, so that the role is kept to trust whoever gets the image"
    ),
    "encrypted-role-full": (
        "the trust policy of the sharing role has no place for them: raise quotas.trust_policy_length of the owner if "
        "RAM takes a longer one, or narrow the audience"
    ),
    ACROSS_SITES: (
        "it comes from the Marketplace and the account is on another of the vendor's sites (China, International): "
        "share an image without Marketplace software with it, or correct the key site in the policy"
    ),
    "across-sites": (
        "the account is on another of the vendor's sites (China, International), which the service refuses here; "
        "a direct grant (channel: auto or direct) may be allowed where a resource share is not"
    ),
    "over-quota": "raise the quota «users that can be shared per custom image», or narrow the audience",
    "account-refused": "check the account id in the policy",
    "sharing-not-enabled": (
        "let the management account enable sharing in the organization (EnableSharingWithResourceDirectory), or use "
        "channel: auto or direct"
    ),
    "owner-outside": "let the owner's account join the organization, or use channel: auto or direct",
    "share-quota": "raise the quota of Resource Sharing; with channel auto the next run grants directly",
    "association-failed": "mend what the cloud says; with channel auto the next run grants directly",
}


def remedy_of(reason: str) -> str:
    """How a refusal is mended, in one clause."""
    return _REMEDIES.get(reason, "look the code up in the service's documentation")


def reason_of_setback(code: str) -> Reason:
    """Why something is not in a resource share, by the vendor's code for what failed.

    https://www.alibabacloud.com/help/en/resource-management/resource-sharing/developer-reference/api-resourcesharing-2020-01-10-createresourceshare
    """
    if code == "InvalidTarget.SiteMismatch":
        return "across-sites"
    return "share-quota" if code.startswith("QuotaExceeded.") else "association-failed"


def reason_named(text: str) -> Reason:
    """A reason that was remembered; ``refused`` for one that this version does not know."""
    known: Reason = text if text in get_args(Reason) else "refused"  # type: ignore[assignment]
    return known


def refused(image: Image, want: Want, reason: Reason, accounts: frozenset[str], remedy: str) -> Refusal:
    """The refusal of an image for some accounts."""
    return Refusal(
        image=image.id,
        rules=want.names,
        reason=reason,
        accounts=first_accounts(accounts),
        accounts_total=len(accounts),
        remedy=remedy,
    )
