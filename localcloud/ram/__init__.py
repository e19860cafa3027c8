"""Resource Access Management 2015-05-01: roles, whom they trust, and the policies that are attached to them."""
