"""One repository, opened: where it lies, its HEAD and refs, its reflogs and its configuration."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from resync.errors import Refused, ResyncError, UsageError
from resync.model import Head, Oid, RefName
from resync.repository.config import BIG_FILE, big_file_threshold, truth, value_of, values_of
from resync.repository.discovery import discover
from resync.repository.objects import Objects
from resync.repository.ref_files import RefFiles
from resync.repository.stacked import stacked
from resync.repository.trust import refuse_other_places, refuse_strangers

if TYPE_CHECKING:
    from dulwich.config import StackedConfig
    from dulwich.repo import Repo

BRANCHES, TAGS, REMOTES = b"refs/heads/", b"refs/tags/", b"refs/remotes/"

# A file or folder in the git directory, and the operation that it says is under way.
_OPERATIONS = {
    "rebase-merge": "rebase",
    "rebase-apply/applying": "am",
    "rebase-apply": "rebase",
    "MERGE_HEAD": "merge",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "sequencer": "cherry-pick or revert",
    "BISECT_LOG": "bisect",
}
_WAY_OUT = {
    "bisect": "git bisect reset",
    "cherry-pick or revert": "git cherry-pick --continue    # or --abort",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReflogEntry:
    """One line of a reflog. ``when`` is in seconds since 1970."""

    old: Oid
    new: Oid
    when: int
    message: bytes


class Repository:
    """A repository with a working tree, opened for one command. Close it, or use it in a ``with``."""

    def __init__(self, repo: Repo, env: Mapping[str, str]) -> None:
        """``repo`` is dulwich's, and from here on nobody else's; ``env`` is what it was found by."""
        # dulwich's automatic gc computes reachability from refs only and would delete stashes.
        repo._autogc_disabled = True  # type: ignore[attr-defined]
        self._repo = repo
        self.root = os.path.abspath(repo.path)
        self.git_dir = os.path.abspath(repo.controldir())
        self.common_dir = os.path.abspath(repo.commondir())
        self.index_path = os.path.abspath(repo.index_path())
        self._ref_files = RefFiles(self.git_dir, self.common_dir, repo.object_store.object_format.hex_length)
        self._env = env
        self.opened_beside: dict[str, Repository] = {}
        """Other working trees of it that were opened (``trees.opened``), by their git directory."""

    @classmethod
    def open(cls, path: str, env: Mapping[str, str]) -> Repository:
        """Open the repository that ``path`` is in, as git finds it (``GIT_DIR`` and its kin in ``env``).

        Raises ``Refused``: ``not-a-repository``, ``not-yours``, ``bare-repository``,
        ``unsupported-repository``; and ``UsageError``: ``no-such-folder``, ``bad-config``,
        ``unsupported-environment``.
        """
        opened = cls(discover(path, env), env)
        try:
            opened._check()
        except ResyncError:
            opened.close()
            raise
        return opened

    def _check(self) -> None:
        refuse_strangers(self.config, self.root, self.git_dir, self.common_dir, self._env)
        refuse_other_places(self.git_dir, self.common_dir, self._env)
        if self._repo.bare:
            raise Refused(
                "bare-repository",
                f"{self.root} is a bare repository: it has no working tree to carry over."
                " Nothing was changed.",
                "run resync in a clone of it",
            )

    def close(self) -> None:
        """Close the files that dulwich holds open, those of the working trees beside it too."""
        for other in self.opened_beside.values():
            other.close()
        with suppress(OSError):
            self.objects.let_go()
        with suppress(BufferError):  # what tells of damage may still hold a piece of a pack
            self._repo.close()

    def __enter__(self) -> Repository:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def dulwich(self) -> Repo:
        """dulwich's own object, for its transports and ignore rules only."""
        return self._repo

    @property
    def environment_given(self) -> Mapping[str, str]:
        """The environment that it was opened with."""
        return self._env

    @property
    def environment(self) -> dict[str, str]:
        """The environment for programs that work on this repository: the one it was opened with.

        What it says of the repository holds wherever the programs run; where it says nothing, and the top of
        the working tree does not lead to the repository, it does now, as with git.
        """
        env = dict(self._env)
        if self._env.get("GIT_DIR") or not os.path.lexists(os.path.join(self.root, ".git")):
            env["GIT_DIR"] = self.git_dir
        places = {
            "GIT_WORK_TREE": self.root,
            "GIT_COMMON_DIR": self.common_dir,
            "GIT_INDEX_FILE": self.index_path,
        }
        return {**env, **{name: place for name, place in places.items() if env.get(name)}}

    # --- HEAD and refs ---

    def head(self) -> Head:
        """What is checked out.

        Raises ``Refused``: ``unborn-head`` where there is no commit yet, ``damaged-ref``, ``unreadable-ref``.
        """
        try:
            branch = self.checked_out()
            tip = self.ref(branch or RefName(b"HEAD"))
        except Refused as refused:
            refused.hint = self._last_known(refused.hint)
            raise
        if tip is None:
            name = (branch or b"HEAD").removeprefix(BRANCHES).decode("utf-8", "replace")
            raise Refused(
                "unborn-head",
                f"Branch {name} has no commit yet, so there is nothing to carry over. Nothing was changed.",
                "git pull",
            )
        return Head(branch=branch, tip=tip)

    def _last_known(self, hint: str) -> str:
        """What mends the branch of HEAD where its file is damaged: its reflog knows where it stood."""
        found = self._ref_files.read(RefName(b"HEAD")) or b""
        branch = RefName(found.removeprefix(b"ref: ").strip())
        last = next((entry.new for entry in reversed(self.reflog(branch)) if entry.new in self.objects), None)
        if last is None:
            return hint
        # git itself does not write over a ref that it cannot read.
        name = shlex.quote(os.fsdecode(branch))
        return f"rm {shlex.quote(self.ref_path(branch))} && git update-ref {name} {last.decode()}"

    def branch_name(self) -> bytes | None:
        """The branch that is checked out as people say it, born or not; None where HEAD is detached."""
        branch = self.checked_out()
        return branch.removeprefix(BRANCHES) if branch is not None else None

    def checked_out(self) -> RefName | None:
        """The ref at the end of HEAD's chain (a branch may be a symbolic ref itself); None: detached."""
        name = self.chain_end(RefName(b"HEAD"))
        return name if name != b"HEAD" else None

    def chain_end(self, name: RefName) -> RefName:
        """The ref at the end of a chain of symbolic ones, whether it is there or not."""
        return self._ref_files.chain_end(name)

    def ref(self, name: RefName) -> Oid | None:
        """What the ref finally points at (an annotated tag is not peeled), or None.

        Raises ``Refused`` where that cannot be known: ``unreadable-ref``, ``damaged-ref``.
        """
        return self._ref_files.resolve(name)

    def broken_refs(self) -> Iterator[str]:
        """A sentence on each ref that holds no object id, as after a power cut, or names an object that is
        not here. A symbolic ref that leads nowhere is nothing unusual."""
        for name in sorted(self._ref_files.names()):
            oid = self._unless_damaged(name)
            shown = name.decode("utf-8", "backslashreplace")
            if oid is None and not self._leads_nowhere(name):
                yield f"The ref {shown} holds no object id; it is passed over, as by git."
            elif oid is not None and oid not in self.objects:
                yield f"The ref {shown} names {oid.decode()}, which is not in this repository."

    def _unless_damaged(self, name: RefName) -> Oid | None:
        """What a ref that nobody asked for by its name points at: whoever does is told of the damage."""
        try:
            return self._ref_files.resolve(name)
        except Refused as refused:
            if refused.kind != "damaged-ref":
                raise
            return None

    def _leads_nowhere(self, name: RefName) -> bool:
        try:
            return self.is_symbolic(name)
        except Refused:
            return False

    def leads_to(self, name: RefName) -> RefName:
        """The ref at the end of a chain of symbolic ones, born or not; ``name`` itself where it is none."""
        return self._ref_files.chain_end(name)

    def is_symbolic(self, name: RefName) -> bool:
        """Whether the ref is another name of one."""
        found = self._ref_files.read(name)
        return found is not None and found.startswith(b"ref: ")

    def refs(self, prefix: bytes = b"refs/") -> dict[RefName, Oid]:
        """Every ref whose full name starts with ``prefix`` and that points at something."""
        found = {}
        for name in self._ref_files.names():
            if name.startswith(prefix):
                oid = self._unless_damaged(name)
                if oid is not None:
                    found[name] = oid
        return found

    def ref_names(self) -> set[RefName]:
        """Every name that a ref has, whatever is in it."""
        return self._ref_files.names()

    def ref_path(self, name: RefName, folder: str = "") -> str:
        """The file of a loose ref (or, with ``folder="logs"``, of its reflog)."""
        return self._ref_files.path(name, folder)

    def reflog(self, name: RefName) -> list[ReflogEntry]:
        """The reflog of ``name``, oldest first; lines that cannot be read are passed over.

        dulwich's reader raises on entries without a message, which git writes.
        """
        try:
            with open(self.ref_path(name, "logs"), "rb") as file:
                lines = file.read().split(b"\n")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return []
        return [entry for entry in map(_parse_reflog_line, lines) if entry is not None]

    def operation(self, *, but: str | None = None) -> tuple[str, str] | None:
        """The operation that git has under way here (``but`` that one) and how to end it, or None."""
        for name, operation in _OPERATIONS.items():
            if operation != but and os.path.lexists(os.path.join(self.git_dir, name)):
                way_out = _WAY_OUT.get(operation, f"git {operation} --continue    # or --abort")
                return operation, way_out
        return None

    def refuse_operation(self, *, but: str | None = None) -> None:
        """Raise ``Refused("operation-in-progress")`` where git is amid a merge, a rebase or the like, ``but``
        that one."""
        operation = self.operation(but=but)
        if operation is not None:
            name, way_out = operation
            raise Refused(
                "operation-in-progress",
                f"A git {name} is under way in this checkout. Nothing was changed.",
                way_out,
            )

    @cached_property
    def shallow(self) -> frozenset[Oid]:
        """The commits at which a shallow clone is cut: their parents are not here."""
        try:
            with open(os.path.join(self.common_dir, "shallow"), "rb") as file:
                return frozenset(Oid(line) for line in file.read().split())
        except FileNotFoundError:
            return frozenset()

    @cached_property
    def grafts(self) -> dict[Oid, tuple[Oid, ...]]:
        """Commits with other parents than their own, by ``info/grafts``."""
        try:
            with open(os.path.join(self.common_dir, "info", "grafts"), "rb") as file:
                lines = [line.split() for line in file if line.strip() and not line.startswith(b"#")]
        except FileNotFoundError:
            return {}
        return {Oid(words[0]): tuple(map(Oid, words[1:])) for words in lines}

    def warnings(self) -> Iterator[str]:
        """What git does in this repository and resync does not: replaced objects (git-replace(1))."""
        if any(name.startswith(b"refs/replace/") for name in self._ref_files.names()):
            yield (
                "This repository replaces objects by others (refs/replace/); resync reads them as they were"
                " committed."
            )

    def hint(self, error: ResyncError) -> str:
        """What helps against an error in this repository: an object that a partial clone left out is not
        lost, its remote has promised it; and an index lies where it lies."""
        if error.kind == "missing-object" and (promisors := self.promisors()):
            return f"git fetch --refetch --no-filter {promisors[0]}"
        if error.kind in ("corrupt-index", "unknown-index-extension"):
            return error.hint.replace(".git/index", shlex.quote(self.index_path))
        return error.hint

    def promisors(self) -> list[str]:
        """The remotes of a partial clone that promise what was left out."""
        return [
            remote
            for remote in self.remotes()
            if truth((self.config_text("remote", remote, "promisor") or "").encode("utf-8", "replace"))
        ]

    # --- configuration ---

    @cached_property
    def objects(self) -> Objects:
        """The object store, on the disk and in memory."""
        largest = big_file_threshold(self.config)
        return Objects(self._repo.object_store, BIG_FILE if largest is None else largest)

    @cached_property
    def config(self) -> StackedConfig:
        """The configuration as git stacks it."""
        try:
            return stacked(self._repo, self.git_dir, self._branch_for_conditions, self._env)
        except ValueError as error:
            raise UsageError(
                "bad-config",
                f"A git configuration file cannot be read ({error}). Nothing was changed.",
                "git config --list --show-origin",
            ) from None

    def _branch_for_conditions(self) -> bytes | None:
        with suppress(Refused):  # whoever needs HEAD is told
            return self.branch_name()
        return None

    def config_text(self, *name: str) -> str | None:
        """One setting, as ``config_text("branch", "main", "remote")``; the last value wins. None: unset."""
        found = value_of(self.config, _section(name), name[-1])
        return found.decode("utf-8", "surrogateescape") if found is not None else None

    def config_all(self, *name: str) -> list[str]:
        """Every value of a setting that may stand several times, in the order of precedence."""
        found = values_of(self.config, _section(name), name[-1])
        return [each.decode("utf-8", "surrogateescape") for each in found]

    def remotes(self) -> list[str]:
        """The names of the configured remotes."""
        return list(
            dict.fromkeys(
                section[1].decode("utf-8", "surrogateescape")
                for section in self.config.sections()
                if len(section) == 2 and section[0].lower() == b"remote"
            )
        )

    def identity(self) -> bytes:
        """``Name <mail>`` of the committer, by the environment and the configuration, as git has it.

        What neither says comes from the system. Raises ``Refused("no-identity")`` where that does not know,
        as in a container whose user has no name.
        """
        from dulwich.repo import DefaultIdentityNotFound, get_user_identity

        name = self._env.get("GIT_COMMITTER_NAME") or self.config_text("user", "name")
        mail = self._env.get("GIT_COMMITTER_EMAIL") or self.config_text("user", "email")
        if name and mail:
            bare = mail.removeprefix("<").removesuffix(">")
            return f"{name} <{bare}>".encode("utf-8", "surrogateescape")
        try:
            return get_user_identity(self.config, "COMMITTER")
        except DefaultIdentityNotFound:
            raise Refused(
                "no-identity",
                "Neither git's configuration nor the system knows who you are. Nothing was changed.",
                'git config --global user.name "Your Name" && git config --global user.email you@example.com',
            ) from None

    def advertised_heads(self) -> Iterator[Oid]:
        """The commits that every ref here stands for: what a fetch need not send again."""
        for oid in set(self.refs().values()):
            if oid in self.objects:
                peeled = self.objects.peel(oid)
                if self.objects.is_commit(peeled):
                    yield peeled


def _section(name: tuple[str, ...]) -> tuple[bytes, ...]:
    return tuple(part.encode("utf-8", "surrogateescape") for part in name[:-1])


def _parse_reflog_line(line: bytes) -> ReflogEntry | None:
    head, _, message = line.partition(b"\t")
    words = head.split(b" ")
    if len(words) < 4 or len(words[0]) != len(words[1]) or len(words[0]) not in (40, 64):
        return None
    try:
        when = int(words[-2])
        bytes.fromhex((words[0] + words[1]).decode("ascii"))
    except ValueError:
        return None
    return ReflogEntry(old=Oid(words[0]), new=Oid(words[1]), when=when, message=message)
