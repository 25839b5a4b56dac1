"""``.gitreview``: where git-review sends changes, and how upstream changed that."""

from __future__ import annotations

from collections.abc import Mapping

from resync.errors import Refused
from resync.model import MODE_EXECUTABLE, MODE_FILE, Note, Oid, TreePath, Upstream
from resync.repository import Objects

PATH = TreePath(b".gitreview")
MOST_BYTES = 1 << 16
"""More than this of the file is not read: it has a handful of lines."""

_SHOWN = ("host", "project", "defaultbranch")


def read_gitreview(data: bytes) -> Mapping[str, str]:
    """The settings of the file's section ``gerrit`` by name; none where it cannot be read."""
    import configparser

    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(data.decode("utf-8", "replace"))
    except configparser.Error:
        return {}
    return dict(parser["gerrit"]) if parser.has_section("gerrit") else {}


def gitreview_notes(objects: Objects, upstream: Upstream) -> tuple[Note, ...]:
    """What the report should say of where changes go from now on, if upstream's new tip says otherwise than
    the old one did."""
    if upstream.old_tip is None or upstream.new_tip is None or upstream.old_tip not in objects:
        return ()
    old, new = _blob(objects, upstream.old_tip), _blob(objects, upstream.new_tip)
    if old == new:
        return ()
    if new is None:
        return (Note(PATH, "upstream has it no more"),)
    before = read_gitreview(_read(objects, old)) if old is not None else {}
    after = read_gitreview(_read(objects, new))
    changed = [
        f"{name} {_word(before.get(name))} -> {_word(after.get(name))}"
        for name in _SHOWN
        if before.get(name) != after.get(name)
    ]
    return (Note(PATH, f"upstream changed where changes go: {', '.join(changed)}"),) if changed else ()


def _blob(objects: Objects, commit: Oid) -> Oid | None:
    entry = objects.entry(objects.commit(commit).tree, PATH)
    return entry.oid if entry is not None and entry.mode in (MODE_FILE, MODE_EXECUTABLE) else None


def _read(objects: Objects, oid: Oid) -> bytes:
    try:
        return objects.raw(oid, largest=MOST_BYTES)[1]
    except Refused:  # larger than any, or left out by a partial clone
        return b""


def _word(value: str | None) -> str:
    return value or "(none)"
