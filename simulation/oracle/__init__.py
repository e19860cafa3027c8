"""What has to be true whatever happens, worked out a second time from plain data.

Nothing here imports the program or the inside of the local cloud: the policy is the data of its YAML, the world the
data of its document, the state the JSON of its objects. What can go wrong is an oracle that makes the program's own
mistake; so it follows the contract's words, not the program's code.
"""

from simulation.oracle.watching import Oracle, Snapshot, Violation

__all__ = ["Oracle", "Snapshot", "Violation"]
