"""The command line: it reads options, starts the one way through the program, and prints its reports.

``main`` is the entry point and ``commands`` the list of commands. They live in ``changing`` (plan, apply), ``asking``
(status, explain, who), ``holding`` (holds, approve) and ``starting`` (init, validate, demo, invoke); ``running`` has
what they share: errors and exit statuses, what goes to which stream, the line that says which cloud it is.
``invoking`` runs a function's handler as Function Compute would.

What can go wrong is a script that takes a failure for success. So every command returns its exit status from one of
the few functions in ``statuses``, and whatever is raised ends in ``running``.
"""
