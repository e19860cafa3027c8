"""Security Token Service 2015-04-01: who the caller is, and temporary keys of roles."""
