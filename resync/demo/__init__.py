"""``resync demo``: a small upstream like Kolla's is rewritten, and a clone of it is carried over.

``kolla`` is what the two repositories contain, ``builder`` makes them with dulwich's object store alone,
and ``story`` runs the real commands on them, in this process, for a person to watch.
"""

from resync.demo.story import demo

__all__ = ["demo"]
