"""What upstream does, in the language of ``language.py``."""

from __future__ import annotations

from tests.scenarios.language import parse_acts, parse_commits

# Before any act: the clone is made when main is at fix. Upstream will leave old behind, and take fix along.
BEFORE = parse_commits("""
    start : tool
    ground < start : ground
    old < ground : old-way
    fix < old : fix
    next < ground : next-way
    next-2 < next : next-fix
    late*100 < fix              # what a stale clone has never seen
    twin < fix : mine-1         # what Gerrit makes of a commit of the clone's owner
    mine-1 < fix : mine-1       # and the owner's own commits, where they were pushed
    mine-2 < mine-1 : mine-2
""")

START = {"main": "fix", "next": "next-2"}
"""Upstream's branches when the clone is made."""

ACTS = parse_acts("""
    nothing:
        main = @
    advance:
        more < @ : more
        main = more
    megapatch:
        mega < @ next-2 : -old-way
        main = mega
    force-push:
        new < next-2 : new
        fix' < new : fix
        main-early-demise = @
        main = fix'
    silent force-push:
        new < next-2 : new
        fix' < new : fix
        main = fix'
    delete:
        main-early-demise = @
        main =
    delete and recreate:
        new < next-2 : new
        fix' < new : fix
        main-early-demise = @
        main =
        then
        main = fix'
    rename:
        main =
        trunk = @
    rewind:
        main = old
    unrelated import:
        import : tool ground old-way fix imported
        main = import
    three rewrites:
        one < ground : one
        two < ground : two
        three < ground : three
        main-early-demise = @
        main = one
        then
        main = two
        then
        main = three

    # Of what the clone's owner sent before:
    squash of mine:
        squash < fix : mine-1 mine-2
        main = squash
    rebase of mine:
        other < fix : other
        mine-1' < other : mine-1
        mine-2' < mine-1' : mine-2
        main = mine-2'
    revert of mine:
        revert < @ : -mine-1 -mine-2
        main = revert
    drop of mine:
        other < fix : other
        main = other
""")
