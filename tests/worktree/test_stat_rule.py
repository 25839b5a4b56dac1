"""What stat data proves: the short way to say so for many files, beside the long one for each."""

from __future__ import annotations

import os
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from resync.model import MODE_FILE, Oid, TreePath
from resync.worktree.reindex import entry_from_stat
from resync.worktree.settings import WorktreeSettings
from resync.worktree.stat_rule import StatRule
from tests.history.commits import new_objects

SECOND = 10**9
PATH = TreePath(b"a")
OID = Oid(b"0" * 40)
NUMBERS = st.sampled_from([0, 1, 5, 2**31, 2**32 - 1, 2**32, 2**32 + 5])
TIMES = st.tuples(st.sampled_from([-1, 0, 7, 8, 2**32]), st.sampled_from([0, 1, 500, SECOND - 1])).map(
    lambda time: time[0] * SECOND + time[1]
)


@st.composite
def looks(draw: st.DrawFn) -> os.stat_result:
    """What ``lstat`` may say of a file."""
    mtime, ctime = draw(TIMES), draw(TIMES)
    mode = draw(st.sampled_from([0o100644, 0o100600, 0o100755, 0o120777, 0o40755, 0o10644]))
    inode, device, owner, group, size = (draw(NUMBERS) for _ in range(5))
    whole = (mode, inode, device, 1, owner, group, size, 0, mtime // SECOND, ctime // SECOND)
    return os.stat_result((*whole, 0.0, 0.0, 0.0, 0, mtime, ctime))


@given(looks(), st.data(), TIMES, st.booleans(), st.booleans(), st.booleans())
def test_many_are_looked_at_as_each(
    now: os.stat_result, data: st.DataObject, index_mtime: int, ctime: bool, check_stat: bool, modes: bool
) -> None:
    settings = replace(WorktreeSettings(), trust_ctime=ctime, check_stat=check_stat, file_mode=modes)
    rule = StatRule(new_objects(), index_mtime, settings)
    then = data.draw(st.just(now) | looks())
    raw = bytearray(entry_from_stat(PATH, MODE_FILE, OID, then).raw)
    for place in data.draw(st.lists(st.sampled_from([*range(24), *range(28, 40)]), max_size=2)):
        raw[place] ^= data.draw(st.sampled_from([1, raw[place]]))
    unchanged = rule.unchanged(bytes(raw), now)
    for _ in range(2):  # what is remembered of modes changes nothing
        found = list(rule.doubtful({PATH: bytes(raw)}, [now], ()))
        assert found == ([] if unchanged else [(PATH, now, False)])
    assert list(rule.doubtful({PATH: bytes(raw)}, [now], {PATH})) == [(PATH, now, unchanged)]
    assert list(rule.doubtful({PATH: bytes(raw)}, [None], ())) == [(PATH, None, False)]
