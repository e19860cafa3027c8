"""Remembering what is ours: an object store (``store``), and the state of a deployment in it (``state``).

``ownership`` says what a run's outcomes make of a ledger.
"""
