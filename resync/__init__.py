"""resync: the upstream branch was rewritten; keep my work."""

__version__ = "0.1.0"
