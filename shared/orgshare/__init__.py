"""orgshare keeps custom images shared with exactly the accounts that a policy names."""

__version__ = "0.1.0"
