"""Random forests: local branches of every shape on an old upstream, and what git makes of each head."""
