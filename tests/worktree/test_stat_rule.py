"""What stat data proves: the short way to say so for many files, beside the long one for each."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resync.model import MODE_FILE, Oid, TreePath
from resync.worktree.reindex import entry_from_stat
from resync.worktree.settings import WorktreeSettings
from resync.worktree.stat_rule import StatRule
from tests.history.commits import new_objects

SECOND = 10**9
OBJECTS = new_objects()
PATH = TreePath(b"a")
OID = Oid(b"0" * 40)  # not that of an empty file
NUMBERS = st.sampled_from([5, 5, 5, 0, 2**32 + 5])
TIMES = st.sampled_from([-SECOND, 7 * SECOND, 7 * SECOND + 500, 8 * SECOND, 2**32 * SECOND + 1])
MODES = st.sampled_from([0o100644, 0o100644, 0o100600, 0o100755, 0o120777, 0o40755, 0o10644])


@st.composite
def looks(draw: st.DrawFn) -> os.stat_result:
    """What ``lstat`` may say of a file."""
    mtime, ctime, mode = draw(TIMES), draw(TIMES), draw(MODES)
    inode, device, owner, group, size = (draw(NUMBERS) for _ in range(5))
    whole = (mode, inode, device, 1, owner, group, size, 0, mtime // SECOND, ctime // SECOND)
    return os.stat_result((*whole, 0.0, 0.0, 0.0, 0, mtime, ctime))


@given(looks(), st.data(), st.sampled_from([True, True, False]), st.booleans(), st.booleans())
@settings(max_examples=200, deadline=None)
def test_many_are_looked_at_as_each(
    now: os.stat_result, data: st.DataObject, check_stat: bool, ctime: bool, modes: bool
) -> None:
    configured = replace(WorktreeSettings(), trust_ctime=ctime, check_stat=check_stat, file_mode=modes)
    index_mtime = now.st_mtime_ns + data.draw(st.sampled_from([-1, 0, 1, 400, SECOND, 2 * SECOND]))
    rule = StatRule(OBJECTS, index_mtime, configured)
    then = data.draw(st.sampled_from([now, now, now]) | looks())
    raw = bytearray(entry_from_stat(PATH, MODE_FILE, OID, then).raw)
    for place in data.draw(st.lists(st.sampled_from([*range(24), *range(28, 40)]), max_size=1)):
        raw[place] ^= data.draw(st.sampled_from([1, raw[place]]))
    unchanged = rule.unchanged(bytes(raw), now)
    for _ in range(2):  # what is remembered of modes changes nothing
        found = list(rule.doubtful({PATH: bytes(raw)}, [now], ()))
        assert found == ([] if unchanged else [(PATH, now, False)])
    assert list(rule.doubtful({PATH: bytes(raw)}, [now], {PATH})) == [(PATH, now, unchanged)]
    assert list(rule.doubtful({PATH: bytes(raw)}, [None], ())) == [(PATH, None, False)]


@pytest.mark.parametrize(
    ("nanoseconds", "size", "younger", "check_stat"),
    [
        (500, 5, 0, True),  # the file may have changed in the tick in which the index was written,
        (0, 5, 400, True),  # which is a second where nanoseconds are not recorded,
        (500, 5, 400, False),  # or not believed;
        (500, 0, SECOND, True),  # and a size of 0, where the file is not empty in git, says to look.
    ],
)
def test_equal_to_the_byte_and_doubtful_all_the_same(
    nanoseconds: int, size: int, younger: int, check_stat: bool
) -> None:
    mtime = 7 * SECOND + nanoseconds
    look = os.stat_result((0o100644, 1, 2, 1, 3, 4, size, 0, 7, 7, 0.0, 0.0, 0.0, 0, mtime, mtime))
    raw = entry_from_stat(PATH, MODE_FILE, OID, look).raw
    for index_mtime, doubtful in ((mtime + younger, True), (mtime + 2 * SECOND, size == 0)):
        rule = StatRule(OBJECTS, index_mtime, replace(WorktreeSettings(), check_stat=check_stat))
        assert list(rule.doubtful({PATH: raw}, [look], ())) == [(PATH, look, False)] * doubtful
        assert rule.unchanged(raw, look) is not doubtful
