"""Upstream: which branch it is, what it has now (fetch), and what it had before (evidence)."""
