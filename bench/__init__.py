"""Measurements: what a run costs in calls, in seconds of deciding, and how fast the local cloud answers.

Seconds depend on the machine, so what is compared is ratios: what happens when everything doubles.
"""
