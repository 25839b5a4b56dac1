"""Reading refs from their files (gitrepository-layout(5)), and saying so where one cannot be read.

dulwich takes a loose ref that may not be opened, or that has nothing in it, for one that is not there, and
gives the packed value of long ago for it: a branch would seem to stand where it stood weeks before.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator

from resync.errors import Refused
from resync.model import Oid, RefName

_HEX = frozenset(b"0123456789abcdef")
_LONGEST_CHAIN = 5  # as long as git follows one of symbolic refs
PSEUDO = (b"HEAD", b"ORIG_HEAD", b"CHERRY_PICK_HEAD")
"""The refs that are no names below ``refs/`` and that we read and write."""

_OWN = (b"refs/bisect/", b"refs/worktree/", b"refs/rewritten/")
_ABSENT = (FileNotFoundError, IsADirectoryError, NotADirectoryError)


class RefFiles:
    """The refs of a repository as they are on the disk at this moment."""

    def __init__(self, git_dir: str, common_dir: str, hex_length: int) -> None:
        """``git_dir`` is that of the working tree, ``common_dir`` what linked ones share."""
        self._git_dir = git_dir
        self._common_dir = common_dir
        self._hex_length = hex_length
        self._packed: dict[RefName, Oid] = {}
        self._packed_stat: tuple[int, int, int] | None = None

    def path(self, name: RefName, folder: str = "") -> str:
        """The file of a loose ref (or, with ``folder="logs"``, of its reflog)."""
        own = not name.startswith(b"refs/") or name.startswith(_OWN)
        return os.path.join(self._git_dir if own else self._common_dir, folder, os.fsdecode(name))

    def read(self, name: RefName) -> bytes | None:
        """What the ref says: an object id, or ``ref: `` and the name of another; None where there is none.

        Raises ``Refused``: ``unreadable-ref``, ``damaged-ref``.
        """
        if not _is_name(name):
            return None
        try:
            # A symbolic ref may be a symbolic link: git made them so once (core.preferSymlinkRefs).
            link = os.readlink(os.fsencode(self.path(name))) if os.path.islink(self.path(name)) else b""
            if link.startswith(b"refs/"):
                return b"ref: " + link
            with open(self.path(name), "rb") as file:
                found = file.readline().strip()
        except _ABSENT:
            return self._all_packed().get(name)
        except OSError as error:
            raise Refused(
                "unreadable-ref",
                f"The ref {_text(name)} cannot be read ({error.strerror}). Nothing was changed.",
                f"give yourself access to {self.path(name)}, or run resync as its owner",
            ) from None
        if found.startswith(b"ref: ") or self._is_oid(found):
            return found
        raise Refused(
            "damaged-ref",
            f"The ref {_text(name)} is damaged: there is no object id in it. Nothing was changed.",
            "git fsck",
            f"git reflog {shlex.quote(_text(name))}    # may know where it stood",
        )

    def resolve(self, name: RefName) -> Oid | None:
        """What the ref finally points at (an annotated tag is not peeled), or None; raises as ``read``."""
        for _ in range(_LONGEST_CHAIN):
            found = self.read(name)
            if found is None or not found.startswith(b"ref: "):
                return Oid(found) if found is not None else None
            name = RefName(found.removeprefix(b"ref: ").strip())
        return None

    def chain_end(self, name: RefName) -> RefName:
        """The name at the end of a chain of symbolic refs, whether there is a ref of that name or not."""
        for _ in range(_LONGEST_CHAIN):
            found = self.read(name)
            if found is None or not found.startswith(b"ref: "):
                break
            name = RefName(found.removeprefix(b"ref: ").strip())
        return name

    def names(self) -> set[RefName]:
        """Every name that a ref has here, whatever is in it; raises as ``read``."""
        return {*self._all_packed(), *self._loose(self._common_dir), *self._loose(self._git_dir)}

    def _loose(self, top: str) -> Iterator[RefName]:
        above = os.path.join(os.fsencode(top), b"")
        for folder, _, files in os.walk(above + b"refs"):
            within = folder.removeprefix(above).replace(os.fsencode(os.sep), b"/")
            for file in files:
                name = RefName(within + b"/" + file)
                mine = name.startswith(_OWN) == (top == self._git_dir) or self._git_dir == self._common_dir
                if mine and _is_name(name):
                    yield name

    def _all_packed(self) -> dict[RefName, Oid]:
        """The packed refs, read anew where another process replaced their file."""
        try:
            with open(os.path.join(self._common_dir, "packed-refs"), "rb") as file:
                status = os.fstat(file.fileno())
                stat = (status.st_ino, status.st_mtime_ns, status.st_size)
                if stat != self._packed_stat:
                    self._packed = dict(map(self._packed_row, filter(_names_a_ref, file)))
                    self._packed_stat = stat
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise Refused(
                "unreadable-ref", f"The packed refs cannot be read ({error.strerror}). Nothing was changed."
            ) from None
        return self._packed

    def _packed_row(self, line: bytes) -> tuple[RefName, Oid]:
        oid, _, name = line.rstrip(b"\n").partition(b" ")
        if not self._is_oid(oid) or not name.startswith(b"refs/"):
            raise Refused(
                "damaged-ref",
                f"The file of packed refs is damaged: {_text(line.strip())!r} is no line of it."
                " Nothing was changed.",
                "git fsck",
            )
        return RefName(name), Oid(oid)

    def _is_oid(self, text: bytes) -> bool:
        return len(text) == self._hex_length and _HEX.issuperset(text)


def _is_name(name: bytes) -> bool:
    """Whether it may be the name of a ref, and so a path below the git directory."""
    from dulwich.refs import check_ref_format

    return name in PSEUDO or (name.startswith(b"refs/") and check_ref_format(name))  # type: ignore[arg-type]


def _names_a_ref(line: bytes) -> bool:
    """Whether a line of packed-refs is neither a comment nor what the tag above it finally names."""
    return not line.startswith((b"#", b"^")) and bool(line.strip())


def _text(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")
