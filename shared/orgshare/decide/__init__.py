"""Deciding is pure: (policy, organization, images, coverage, ledger, now) -> decisions -> plan.

``audience`` says whom a rule speaks of, ``selection`` which images it speaks of, ``decisions`` what that means for each
image, ``plan`` is the result as data. Nothing here reads a clock, a network or a file; import-linter holds it to that.
"""
