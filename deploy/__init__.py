"""How orgshare gets into an account: the packages that Function Compute runs, and the templates that say how.

``package`` builds the zips, ``check`` holds the templates to what the vendor's resource types take and to what this
project is. Nothing imports it: it is a tool of the project, and no part of what runs.
"""
