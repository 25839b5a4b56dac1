"""What a pick keeps of a commit, by which it is known again: who wrote it, when, and its subject.

``git cherry-pick`` does not keep these byte for byte: it writes UTF-8 where the commit says that it is in
another encoding, and the time zone -0000 as +0000. So text is compared as UTF-8, and the zone is not.
"""

from __future__ import annotations

from resync.model import Commit

_LONGEST = 1000
"""Some codecs take their time: longer texts (bytes) are left as they are."""


def authorship(commit: Commit) -> tuple[bytes, bytes]:
    """The author with the second of the author date, and the subject, the same for a commit and its pick."""
    encoding = _encoding(commit)
    author, _, _ = commit.author.rpartition(b" ")
    return _as_utf8(author, encoding), _as_utf8(commit.subject, encoding)


def _encoding(commit: Commit) -> str | None:
    headers = commit.raw.partition(b"\n\n")[0]
    for line in headers.split(b"\n"):
        if line.startswith(b"encoding "):
            return line.removeprefix(b"encoding ").decode("ascii", "replace").strip()
    return None


def _as_utf8(text: bytes, encoding: str | None) -> bytes:
    if encoding is None or len(text) > _LONGEST:
        return text
    try:
        return text.decode(encoding).encode("utf-8")
    except (LookupError, ValueError):
        return text
