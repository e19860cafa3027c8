"""Resource Sharing 2020-01-10: images shared with an organization, a folder or an account."""
