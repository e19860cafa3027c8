"""Errors by what the caller does about them, not by what went wrong.

A message says what, where, n of m where there is a number, and how to mend it. The vendor's code and request id are
kept because support asks for them. Causes are chained with ``raise ... from``.
"""

from __future__ import annotations


class OrgshareError(Exception):
    """Any error that this program raises on purpose; its text is one line for a person."""


class ConfigurationError(OrgshareError):
    """Nothing was done: a policy, setting, state or credential has to be mended by a person first.

    Of a policy its text has one line for each thing to mend. ``what`` is the text without the ``remedy``, where that
    was told apart.
    """

    def __init__(self, what: str, *, remedy: str = "") -> None:
        super().__init__(f"{what}; {remedy}" if remedy else what)
        self.what = what
        self.remedy = remedy


class VendorError(OrgshareError):
    """The cloud answered with an error, or not at all. ``code`` and ``request_id`` are the vendor's, or empty."""

    def __init__(self, message: str, *, code: str = "", request_id: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.request_id = request_id


class TryAgain(VendorError):
    """Throttling, a server's fault or a conflict under way: the call was not carried out and may be repeated."""


class NoAnswer(TryAgain):
    """The connection failed or timed out: whether the call was carried out is not known."""


class Refused(VendorError):
    """The cloud refused this call by one of its rules; repeating it changes nothing."""


class NotPermitted(VendorError):
    """The credentials lack a permission for this call: nothing was done, and a person has to change a policy of theirs.

    It says nothing about what the call was about, so nothing is concluded from it and the next run tries again.
    ``what`` was said, ``remedy`` is the same for every call that lacks it.
    """

    def __init__(self, message: str, *, remedy: str, code: str = "", request_id: str = "") -> None:
        super().__init__(f"{message}; {remedy}", code=code, request_id=request_id)
        self.what = message
        self.remedy = remedy


class Malformed(TryAgain):
    """The answer came but lacks a required field or has the wrong shape; a read may be repeated."""


class IncompleteRead(OrgshareError):
    """A list could not be read to the end, or its rows contradict its total: nothing may be concluded from it."""


class TooLarge(ConfigurationError):
    """An object is larger than anybody wants to read, so nothing of it was taken."""


class StopRun(OrgshareError):
    """The run cannot go on: the organization cannot be read or the state is not ours. Nothing more is done."""


class NobodyAnswers(StopRun):
    """The first contact with the cloud got no answer at all: most likely a wrong endpoint or no network."""


class CredentialsRefused(StopRun):
    """The cloud does not accept the credentials."""


class StopShard(OrgshareError):
    """Nothing more is written to this shard in this run. What was begun is in the state; a later run goes on."""


class Busy(StopShard):
    """Another run holds this shard's lease, or took it over: it will do the work, or the next run will."""


class Paused(StopShard):
    """A person paused this shard, or the whole deployment."""


class OutOfTime(StopShard):
    """The run's own time is nearly over: what is left is handed on."""


UNREAD = (VendorError, IncompleteRead, CredentialsRefused)
"""What leaves an image, a region or an owner unread, once the organization was read, and stops no other: the role of
one owner may be refused where all others are good."""

ENDS_WORK = (VendorError, IncompleteRead, CredentialsRefused, StopShard)
"""What ends the work on one image or one share half way: what was done until then is recorded, and nothing raised."""
