"""User names and passwords, from where git gets them: the helpers that are configured, then a person.

The protocol is git-credential(1)'s, the rules gitcredentials(7)'s. The helper ``store`` is read and written
here; any other name is a program ``git-credential-<name>`` on the ``PATH``, never in git's own folder. What a
helper answers about another host than the one it was asked about is not taken.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from resync.errors import Refused
from resync.programs import ProgramFailed, Programs, quoted
from resync.remote.address import Address, for_showing
from resync.remote.matching import value_for, values_for
from resync.remote.stored import Credential, cross_out, look_up, store_files, write_down
from resync.repository.config import truth, value_of
from resync.request import Prompt

if TYPE_CHECKING:
    from dulwich.config import StackedConfig

_MOST = 1 << 16  # bytes of a helper's answer
_KEPT_TOGETHER = ("password_expiry_utc", "oauth_refresh_token")
_HTTP = ("http", "https")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Where credentials come from.

    ``programs`` says how helpers run; ``prompt`` is None where no person is there, and ``askpass`` whether a
    program may ask one. ``said`` collects, for an error, why a helper did not help.
    """

    config: StackedConfig
    programs: Programs
    prompt: Prompt | None
    askpass: bool
    said: list[str]

    def wanted(self, address: Address) -> Credential:
        """What is asked for to get at an address; raises ``Refused("strange-address")``."""
        path = None
        if address.scheme not in _HTTP or self._flag("useHttpPath", address, False):
            path = address.path.strip("/")
        user = (
            address.user
            if address.user is not None
            else value_for(self.config, b"credential", "username", address)
        )
        asked = Credential(protocol=address.scheme, host=address.place.lower(), path=path, username=user)
        self._check(asked, address)
        return asked

    def find(self, address: Address) -> Credential | None:
        """A credential for the address, complete; None where nobody has one. Raises ``Refused``:
        ``strange-address``, and ``credential-helper`` where a helper says that nobody should be asked."""
        asked = self.wanted(address)
        for helper in self._helpers(address):
            asked = self._ask_helper(helper, asked, address)
            if asked.complete:
                return asked
        return self._ask_person(asked)

    def approve(self, address: Address, known: Credential) -> None:
        """Tell the helpers that it was accepted, so that they may store it."""
        self._tell("store", address, known)

    def reject(self, address: Address, refused: Credential) -> None:
        """Tell the helpers that it was not, so that they forget it."""
        self._tell("erase", address, refused)

    # --- helpers ---

    def _helpers(self, address: Address) -> list[str]:
        """Those for the address, in git's order; an empty one takes those before it back."""
        found: list[str] = []
        for value in values_for(self.config, b"credential", "helper", address):
            found = [*found, value.decode("utf-8", "surrogateescape")] if value else []
        return found

    def _ask_helper(self, helper: str, asked: Credential, address: Address) -> Credential:
        """What the helper makes of it; as it was, where the helper knows nothing or fails."""
        store = self._store_of(helper)
        if store is not None:
            return look_up(store, asked) or asked
        answer = self._run(helper, "get", asked)
        found = dict(line.split("=", 1) for line in answer.split("\n") if "=" in line)
        more = tuple((name, found[name]) for name in _KEPT_TOGETHER if name in found)
        made = replace(
            asked,
            username=found.get("username", asked.username),
            password=found.get("password"),
            more=more,
        )
        if truth(found.get("quit", "false").encode("utf-8", "surrogateescape")):
            raise Refused(
                "credential-helper",
                f"The credential helper {helper!r} does not allow access to"
                f" {for_showing(address.text)}. Nothing was changed.",
                "git config --show-origin --get-all credential.helper",
            )
        self._check(made, address)
        return made

    def _tell(self, verb: str, address: Address, known: Credential) -> None:
        for helper in self._helpers(address):
            store = self._store_of(helper)
            if store is None:
                self._run(helper, verb, known)
            elif verb == "store":
                write_down(store, known)
            else:
                cross_out(store, known)

    def _store_of(self, helper: str) -> tuple[str, ...] | None:
        """The files of the helper ``store``; None for any other."""
        try:
            name, *options = shlex.split(helper)
        except ValueError:
            return None
        if name != "store":
            return None
        given = None
        while options:
            option = options.pop(0)
            if option.startswith("--file="):
                given = option.removeprefix("--file=")
            elif option == "--file" and options:
                given = options.pop(0)
        return store_files(self.programs.env, given)

    def _run(self, helper: str, verb: str, known: Credential) -> str:
        """Run a helper; its answer, empty where it fails (which is a word for the error that may follow)."""
        command = self._command(helper)
        if command is None:
            return ""
        lines = {
            "protocol": known.protocol,
            "host": known.host,
            "path": known.path,
            "username": known.username,
            "password": known.password,
            **dict(known.more),
        }
        text = "".join(f"{name}={value}\n" for name, value in lines.items() if value is not None) + "\n"
        try:
            done = self.programs.pipe(
                os.fsencode(f"{command} {verb}"), text.encode("utf-8", "surrogateescape"), _MOST
            )
        except ProgramFailed as failed:
            self.said.append(f"the credential helper {helper!r} {failed}")
            return ""
        if done.status and verb == "get":
            self.said.append(f"the credential helper {helper!r} failed: {done.said or done.status}")
            return ""
        return done.output.decode("utf-8", "surrogateescape").replace("\r\n", "\n")

    def _command(self, helper: str) -> str | None:
        """The shell command of a helper; None where there is no such program on the ``PATH``."""
        if helper.startswith("!"):
            return helper[1:]
        if os.path.isabs(helper.split(" ", 1)[0]):
            return helper
        import shutil

        name, *rest = helper.split(" ", 1)
        program = shutil.which(f"git-credential-{name}", path=self.programs.env.get("PATH", os.defpath))
        if program is None:
            self.said.append(f"the credential helper git-credential-{name} is not on the PATH")
            return None
        return " ".join([os.fsdecode(quoted(os.fsencode(program))), *rest])

    # --- a person ---

    def _ask_person(self, asked: Credential) -> Credential | None:
        place = f"{asked.protocol}://{asked.host}" + (f"/{asked.path}" if asked.path else "")
        user = asked.username or self._answer(f"Username for '{_harmless(place)}': ", False)
        if not user:
            return None
        named = place.replace("://", f"://{user}@", 1)
        password = self._answer(f"Password for '{_harmless(named)}': ", True)
        return replace(asked, username=user, password=password) if password is not None else None

    def _answer(self, question: str, hidden: bool) -> str | None:
        env = self.programs.env
        if self.askpass:
            configured = value_of(self.config, (b"core",), "askPass")
            program = (
                env.get("GIT_ASKPASS")
                or (os.path.expanduser(os.fsdecode(configured)) if configured else "")
                or env.get("SSH_ASKPASS")
            )
            if program:
                return self._ask_program(program, question)
        if self.prompt is not None and env.get("GIT_TERMINAL_PROMPT", "1").lower() not in (
            "0",
            "false",
            "no",
            "off",
        ):
            return self.prompt(question, hidden)
        return None

    def _ask_program(self, program: str, question: str) -> str | None:
        try:
            talk = self.programs.talk([program, question])
            try:
                talk.hang_up()
                output = talk.hear_all(_MOST)
                status = talk.ended().status
            finally:
                talk.kill()
        except ProgramFailed as failed:
            self.said.append(f"{program} {failed}")
            return None
        answer = re.split(r"[\r\n]", output.decode("utf-8", "surrogateescape"), maxsplit=1)[0]
        return answer if status == 0 else None

    # --- checks ---

    def _flag(self, name: str, address: Address, default: bool) -> bool:
        value = value_for(self.config, b"credential", name, address)
        return default if value is None else bool(truth(value.encode("utf-8", "surrogateescape")))

    def _check(self, known: Credential, address: Address) -> None:
        """Refuse what would be read as more attributes than it is: a line end in a value, no host at all."""
        values: Iterable[str | None] = (
            known.protocol,
            known.host,
            known.path,
            known.username,
            known.password,
        )
        ends = ("\n", "\0", *("\r" if self._flag("protectProtocol", address, True) else ""))
        broken = any(end in value for value in values if value is not None for end in ends)
        if broken or not known.protocol or not known.host:
            raise Refused(
                "strange-address",
                f"No credential is asked for or taken for {for_showing(address.text)!r}: there is a line"
                " end in it, or no host. Nothing was changed.",
                "git remote -v",
            )


def _harmless(text: str) -> str:
    """Without what could move a cursor or look like another host (``credential.sanitizePrompt``)."""
    return "".join(each if each.isprintable() else f"%{ord(each):02x}" for each in text)
