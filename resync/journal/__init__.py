"""The durable record of a run: its plan, how far it came, and what it came to.

Each run has a folder ``resync/runs/<id>`` in the common git directory (a linked worktree's own would go
away with it). ``plan.json`` is written before anything else; ``state.json`` has the last thing that is
known to have happened and what most questions about past runs need, because plans may be long.
``outcome.json`` is what the user was told. All are JSON, for a person to read when everything else fails; the
first two have a checksum of the rest, because a path or an id with one bit wrong would still be one.

``runs`` are what is on record; ``record`` is how a plan becomes JSON, in a file that tells of damage.
"""

from resync.journal.runs import STATES, TREES, Entry, Journal, Journals

__all__ = ["STATES", "TREES", "Entry", "Journal", "Journals"]
