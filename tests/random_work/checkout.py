"""A repository in a random state, made with git and by hand."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from resync.model import MODE_EXECUTABLE, MODE_GITLINK, MODE_SYMLINK
from tests.random_work.states import IGNORED, State
from tests.random_work.trees import MODULE_COMMITS, Entry, Tree

_CONFIG = """[core]
\trepositoryformatversion = 0
\tfilemode = true
\tbare = false
\tlogallrefupdates = true
\tfsync = none
[gc]
\tauto = 0
[remote "origin"]
\turl = ../up.git
\tfetch = +refs/heads/*:refs/remotes/origin/*
[branch "main"]
\tremote = origin
\tmerge = refs/heads/main
"""
_FOLDER_MODES = (0o755, 0o700, 0o1777, 0o2750)
_WHO = b"A U Thor <author@example.com> 1461092000 +0000"


class Template:
    """What every repository starts from: an empty one, and a submodule with two commits."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.empty, self.module = base / "empty", base / "module"
        git(base, "init", "-q", "-b", "main", "--template=", str(self.empty))
        (self.empty / ".git" / "config").write_text(_CONFIG)
        (self.empty / ".git" / "info").mkdir()
        (self.empty / ".git" / "info" / "exclude").write_bytes(IGNORED)
        git(base, "init", "-q", "-b", "main", "--template=", str(self.module))
        (self.module / "of the module").write_bytes(b"theirs\n")
        git(self.module, "add", "-A")
        commits = []
        for message in ("one", "two"):
            git(self.module, "commit", "-q", "--allow-empty", "-m", message)
            commits.append(git(self.module, "rev-parse", "HEAD").strip())
        self._commits = dict(zip(MODULE_COMMITS, commits, strict=True))

    def make(self, root: Path, state: State) -> None:
        """Make the repository ``root`` in this state."""
        shutil.copytree(self.empty, root)
        git(root, "fast-import", "--quiet", stdin=self._history(state))
        entries = b"".join(
            b"%06o %s\t%s\0" % (entry.mode, self._oid(entry), path) for path, entry in state.index.items()
        )
        git(root, "update-index", "-z", "--index-info", stdin=entries)
        for path, entry in state.files.items():
            self._put(os.path.join(os.fsencode(root), path), entry)
        for folder in sorted({folder for path in state.files for folder in _above(path)}):
            os.chmod(os.path.join(os.fsencode(root), folder), _FOLDER_MODES[len(folder) % len(_FOLDER_MODES)])
        if state.refreshed:
            git(root, "update-index", "-q", "--refresh", check=False)
        if state.intended:
            git(root, "add", "-f", "-N", "--", *sorted(state.intended))
        for option, paths in (("--skip-worktree", state.skipped), ("--assume-unchanged", state.assumed)):
            if paths:
                git(root, "update-index", "-z", option, "--stdin", stdin=b"\0".join(sorted(paths)))

    def _history(self, state: State) -> bytes:
        """Everything as git fast-import reads it; blobs of the index too, which no commit has."""
        text = [self._commit(b"refs/heads/main", b"root", {})]
        text += [b"reset refs/remotes/origin/main\nfrom refs/heads/main\n\n"]
        text += [
            self._commit(b"refs/heads/main", b"old", state.old),
            b"reset refs/tags/old\nfrom refs/heads/main\n\n",
        ]
        text += [self._commit(b"refs/heads/main", b"local", tree) for tree in state.local]
        text += [self._commit(b"refs/remotes/origin/main", b"new", state.new)]
        text += [
            b"blob\ndata %d\n%s\n" % (len(entry.data), entry.data)
            for entry in state.index.values()
            if entry.mode != MODE_GITLINK
        ]
        return b"".join(text)

    def _commit(self, ref: bytes, message: bytes, tree: Tree) -> bytes:
        text = [b"commit %s\ncommitter %s\ndata %d\n%s\ndeleteall\n" % (ref, _WHO, len(message), message)]
        for path, entry in tree.items():
            quoted = b'"%s"' % path
            if entry.mode == MODE_GITLINK:
                text.append(b"M 160000 %s %s\n" % (self._oid(entry), quoted))
            else:
                text.append(b"M %06o inline %s\ndata %d\n" % (entry.mode, quoted, len(entry.data)))
                text.append(entry.data + b"\n")
        return b"".join(text)

    def _oid(self, entry: Entry) -> bytes:
        if entry.mode == MODE_GITLINK:
            return self._commits[entry.data]
        return blob_id(entry.data)

    def _put(self, full: bytes, entry: Entry) -> None:
        os.makedirs(os.path.dirname(full), exist_ok=True)
        if entry.mode == MODE_GITLINK:
            if not entry.data:
                os.mkdir(full)
                return
            shutil.copytree(self.module, os.fsdecode(full))
            head = os.path.join(full, b".git", b"refs", b"heads", b"main")
            Path(os.fsdecode(head)).write_bytes(self._commits[entry.data] + b"\n")
        elif entry.mode == MODE_SYMLINK:
            os.symlink(entry.data, full)
        else:
            with open(full, "wb") as file:
                file.write(entry.data)
            os.chmod(full, 0o755 if entry.mode == MODE_EXECUTABLE else 0o644)


def _above(path: bytes) -> Iterator[bytes]:
    while path := os.path.dirname(path):
        yield path


def blob_id(data: bytes) -> bytes:
    """The id that git gives to these bytes."""
    import hashlib

    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest().encode()


def git(at: Path, *arguments: str | bytes, stdin: bytes = b"", check: bool = True) -> bytes:
    """Run git and return what it prints."""
    done = subprocess.run(["git", *arguments], cwd=at, input=stdin, capture_output=True, check=False)
    assert done.returncode == 0 or not check, (arguments, done.stderr)
    return done.stdout
