"""ssh: the user's own program, started as git starts it, with dulwich talking over its input and output."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Literal, TypeAlias, cast, get_args

from resync.errors import UsageError
from resync.programs import ProgramFailed, Programs, Talk, quoted
from resync.remote.address import Address
from resync.remote.lines import Call, Wish, client_over, lines
from resync.remote.watch import Watch
from resync.repository.config import value_of

if TYPE_CHECKING:
    from dulwich.client import GitClient
    from dulwich.config import StackedConfig

Variant: TypeAlias = Literal["ssh", "plink", "putty", "tortoiseplink", "simple"]


class Line:
    """A program that talks git's protocol on its input and output, as dulwich takes a connection."""

    def __init__(self, talk: Talk, watch: Watch) -> None:
        self._talk = talk
        self._watch = watch
        self._output = talk.output()
        self._unsaid = bytearray()
        watch.ends_with(talk.kill)

    def read(self, size: int) -> bytes:
        self.no_more()
        try:
            data = self._output.read(size)
            self._watch.heard(len(data))
            return data
        except TimeoutError:
            # dulwich does not hang up everywhere where it gives up.
            self._talk.kill()
            raise

    def write(self, data: bytes) -> int:
        self._unsaid += data
        return len(data)

    def no_more(self) -> None:
        """Say what was written: many small lines at once."""
        if self._unsaid:
            self._talk.say(bytes(self._unsaid))
            self._unsaid.clear()

    def can_read(self) -> bool:
        """dulwich looks for an early word of the other side while it tells what is here; there is none that
        it could not read afterwards."""
        return False

    def close(self) -> None:
        self.no_more()
        self._talk.end()

    @property
    def stderr(self) -> IO[bytes]:
        """What the program said of an error, to be read once it has ended."""
        return _LastWords(self._talk)


class _LastWords(io.BytesIO):
    """What dulwich reads of a program's standard error when its output has ended too early."""

    def __init__(self, talk: Talk) -> None:
        super().__init__()
        self._talk = talk

    def readlines(self, hint: int | None = -1, /) -> list[bytes]:
        return self._talk.said().encode("utf-8", "replace").splitlines(keepends=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ssh:
    """How ssh is called: ``program`` is a command for the shell (or one program's name, ``plain``).

    ``quiet`` says that nobody is there to be asked, neither for a password nor about an unknown host.
    """

    program: str
    plain: bool
    variant: Variant | None
    programs: Programs
    quiet: bool
    watch: Watch

    def call(self, address: Address, command: bytes) -> Line:
        """Run ``command`` over there; raises ``UsageError``: ``no-ssh``, ``no-port``."""
        port = address.port
        who = f"{address.user}@{address.host}" if address.user else address.host
        variant = self.variant or self._probe(who)
        arguments = [*_options(variant, port, quiet=self.quiet), who, os.fsdecode(command)]
        env = dict(self.programs.env)
        if variant == "ssh":
            env["GIT_PROTOCOL"] = "version=2"
        if self.quiet:
            env.pop("SSH_ASKPASS", None)
            env["SSH_ASKPASS_REQUIRE"] = "never"
        programs = Programs(
            folder=self.programs.folder,
            env=env,
            timeout=self.programs.timeout,
            terminal=self.programs.terminal,
        )
        try:
            return Line(programs.talk(self._command(arguments)), self.watch)
        except ProgramFailed as failed:
            raise UsageError(
                "no-ssh",
                f"{self.program} {failed}. Nothing was changed.",
                "git config core.sshCommand ssh    # or wherever yours is",
                "git fetch && resync run --no-fetch",
            ) from None

    def _command(self, arguments: Sequence[str]) -> bytes | Sequence[str]:
        if self.plain:
            return [self.program, *arguments]
        words = [os.fsencode(self.program), *(quoted(os.fsencode(each)) for each in arguments)]
        return b" ".join(words)

    def _probe(self, who: str) -> Variant:
        """git's own way to know an ssh of another name: OpenSSH prints what it is configured with, by -G."""
        try:
            talk = self.programs.talk(self._command(["-G", who]))
            try:
                talk.hang_up()
                talk.hear_all(1 << 20)
                return "ssh" if talk.ended().status == 0 else "simple"
            finally:
                talk.kill()
        except ProgramFailed:
            return "simple"


def ssh_client(ssh: Ssh, address: Address, program: bytes | None, wish: Wish) -> GitClient:
    """dulwich's client for ssh, over our connection; ``program`` is what runs over there, if not git's."""

    def connect(command: bytes, path: str | bytes, peeled: dict[bytes, bytes]) -> Call:
        where = path if isinstance(path, bytes) else os.fsencode(path)
        line = ssh.call(address, (program or b"git-" + command) + b" " + quoted(where))
        return Call(lines(line, wish, peeled), line.can_read, line.stderr)

    return client_over(connect, wish)


def _options(variant: Variant, port: int | None, *, quiet: bool) -> list[str]:
    options: list[str] = []
    if variant == "ssh":
        # A server that does not take the variable speaks the older protocol, which is fine, too.
        options += ["-o", "SendEnv=GIT_PROTOCOL"]
        if quiet:
            options += ["-o", "BatchMode=yes"]
    elif variant == "tortoiseplink" or (variant in ("plink", "putty") and quiet):
        options.append("-batch")
    if port is not None:
        if variant == "simple":
            raise UsageError(
                "no-port",
                "The ssh that is configured takes no port (ssh.variant is simple). Nothing was changed.",
                "git config ssh.variant ssh",
            )
        options += ["-p" if variant == "ssh" else "-P", str(port)]
    return options


def read_ssh(
    config: StackedConfig, env: Mapping[str, str], programs: Programs, watch: Watch, *, quiet: bool
) -> Ssh:
    """Which ssh the environment and the configuration name; raises ``UsageError("bad-config")``.

    A repository that is not the user's is never opened, so its ``core.sshCommand`` is the user's word.
    """
    configured = value_of(config, (b"core",), "sshCommand")
    command = env.get("GIT_SSH_COMMAND") or (configured or b"").decode("utf-8", "surrogateescape")
    program = command or env.get("GIT_SSH") or "ssh"
    return Ssh(
        program=program,
        plain=not command,
        variant=_variant(config, env, program, bool(command)),
        programs=programs,
        quiet=quiet,
        watch=watch,
    )


def _variant(config: StackedConfig, env: Mapping[str, str], program: str, command: bool) -> Variant | None:
    """What kind of ssh it is; None where it has to be tried."""
    configured = value_of(config, (b"ssh",), "variant")
    named = env.get("GIT_SSH_VARIANT") or (configured or b"auto").decode("utf-8", "replace")
    if named in get_args(Variant):
        return cast(Variant, named)
    if named != "auto":
        raise UsageError(
            "bad-config",
            f"ssh.variant is {named!r}, which git does not know. Nothing was changed.",
            "git config ssh.variant auto",
        )
    first = _first_word(program) if command else program
    name = re.split(r"[/\\]" if os.name == "nt" else "/", first)[-1].lower().removesuffix(".exe")
    known = {"ssh": "ssh", "plink": "plink", "tortoiseplink": "tortoiseplink"}
    return cast("Variant | None", known.get(name))


def _first_word(command: str) -> str:
    import shlex

    try:
        return next(iter(shlex.split(command)), "")
    except ValueError:
        return ""
