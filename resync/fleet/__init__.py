"""Many checkouts in one command: ``find`` them, ``survey`` what they share, a ``crew`` of processes that work
on them, and the ``tour`` that sends it round and tells of it.
"""
