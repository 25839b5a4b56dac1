#!/usr/bin/python
# Copyright: the maintainers of resync
# SPDX-License-Identifier: Apache-2.0
"""Ansible's way to ``resync run`` and, in check mode, to ``resync plan``."""

from __future__ import annotations

DOCUMENTATION = r"""
module: resync
short_description: Carry a git checkout over to an upstream branch that was rewritten
version_added: 0.1.0
author:
  - The maintainers of resync (!UNKNOWN)
description:
  - Fetches the upstream branch of a checkout and, where it was rewritten (force-pushed, or deleted and made
    anew), moves the checkout to its new tip. Local commits are reapplied and uncommitted edits restored. What
    conflicts is parked on a rescue branch and waits for a person. Everything is backed up first and can be
    taken back by C(resync undo).
  - Runs C(resync run --yes --json) on the target, and C(resync plan --yes --json) in check mode.
  - Nobody is asked. Whatever is unsure is refused, and the task fails with nothing changed.
options:
  path:
    description: The checkout, as an absolute path.
    type: path
    required: true
  executable:
    description:
      - The command on the target, as a name to be looked up or as a path. A zipapp (C(resync.pyz)) is started
        by the Python that runs the module, which then has to be 3.10 or later.
    type: str
    default: resync
  upstream:
    description: Which branch is upstream, as C(REMOTE/BRANCH). Without it, the one that git has configured.
    type: str
  onto:
    description: Go onto this commit and not to upstream's tip.
    type: str
  old_tip:
    description: A commit that was once upstream's tip, where nothing else tells.
    type: str
  commit_map:
    description: The map of old to new commits that git-filter-repo or the BFG left, a file on the target.
    type: path
  fetch:
    description: Whether to fetch, or to work with what was fetched before.
    type: bool
    default: true
  expect:
    description: Refuse unless upstream is at this commit (7 digits or more).
    type: str
  require_announcement:
    description:
      - Refuse a rewrite that no announcing tag names. Without it, C(resync.requireAnnouncement) of the
        target's git configuration decides.
    type: bool
  dirty:
    description:
      - What to do with uncommitted edits. V(restore) puts back what merges and refuses where anything would
        have to be parked, V(park) parks the rest, V(refuse) refuses at any. Without it, C(resync.dirty) of
        the target's git configuration decides, and V(restore) where it says nothing.
    type: str
    choices: [restore, park, refuse]
  on_conflict:
    description: What to do where a commit does not carry over.
    type: str
    choices: [park, stop]
  change_id:
    description: Whether reapplied commits keep their Change-Id or get a new one.
    type: str
    choices: [keep, new]
  advance:
    description:
      - Also carry local work over where upstream only went on. Without it, C(resync.advance) of the target's
        git configuration decides.
    type: bool
  to:
    description: Where a checkout of a detached HEAD goes, to the branch or to its newest release.
    type: str
    choices: [tip, release]
  pre:
    description: With O(to=release), pre-releases count as well.
    type: bool
    default: false
  constraint:
    description: With O(to=release), the versions that may be taken, as in C(>=1.1,<2).
    type: str
  branch:
    description: Other branches to move as well, as patterns.
    type: list
    elements: str
    default: []
  all_branches:
    description: Move all other branches that stood on the old upstream as well.
    type: bool
    default: false
  only_current:
    description: Leave all other branches out of it.
    type: bool
    default: false
  include_untracked:
    description: Save all untracked files as well, not only those in the way.
    type: bool
    default: false
  keep_dropped:
    description: Reapply local commits that upstream once had and left out of its new history.
    type: bool
    default: false
  redo:
    description: Move although C(resync undo) turned away from this very tip.
    type: bool
    default: false
  timeout:
    description:
      - Seconds after which the run is asked to stop. It then takes back what it began, or ends it if that was
        the last step. One that has not stopped a minute later is killed, and the next run finishes it. V(0)
        waits as long as it takes.
    type: int
    default: 0
notes:
  - The result C(changed) is about branches, index and files. That remote-tracking branches were fetched does
    not count.
  - Exit statuses 1 (refused), 2 (wrong usage), 70 (a bug), 75 (busy or network) and 130 (stopped) fail the
    task. After 1, 2 and 75 nothing was changed, and after 75 the same task may go through later, see
    RV(busy).
  - Exit statuses 3 and 4 do not fail the task. They set RV(waits), on which a play may halt.
attributes:
  check_mode:
    description: Runs C(resync plan --yes), a whole rehearsal in memory, with the refusals of a run.
    support: full
  diff_mode:
    description: Shows the tips of branches, and what becomes of each local commit and edited file.
    support: full
"""

EXAMPLES = r"""
- name: Follow the rewritten upstream, and wait for a network that fails
  resync.resync.resync:
    path: /srv/kolla
    executable: /usr/local/bin/resync
    require_announcement: true
  register: carried
  until: carried is not failed or not (carried.busy | default(false))
  retries: 5
  delay: 60

- name: Halt where somebody has to look
  ansible.builtin.fail:
    msg: "{{ carried.msg }}"
  when: carried.waits

- name: Follow upstream wherever it goes, and park edited files that conflict
  resync.resync.resync:
    path: /srv/kolla
    advance: true
    dirty: park
"""

RETURN = r"""
resync:
  description: The JSON object that C(resync --json) printed, as it is.
  returned: when resync printed one
  type: dict
  sample: {"schema_version": 1, "command": "run", "exit_code": 0, "checkout": "/srv/kolla", "branch": "main"}
status:
  description: The exit status of resync.
  returned: when it was started
  type: int
  sample: 3
waits:
  description:
    - Whether something waits for a person. That is parked work, a dropped commit or a branch that was left
      behind (status 3), or a run that is unfinished (status 4). In check mode, whether something would.
  returned: always
  type: bool
busy:
  description: Whether somebody else is at work in the checkout, or the network failed (status 75).
  returned: always
  type: bool
msg:
  description: What was done, or what is wrong and which command helps.
  returned: always
  type: str
  sample: "main moved from b8fd1d38c9 to 0bd5ab54bc"
command:
  description: The command as it was started.
  returned: when it was started
  type: list
  elements: str
stderr:
  description: What it printed besides.
  returned: when it printed anything
  type: str
"""

import json
import os
import signal
import sys
import threading
import zipfile

from ansible.module_utils.basic import AnsibleModule

# Exit statuses of resync.
OK = 0
WAITING = 3
UNFINISHED = 4
DUE = 5
BUSY = 75

# Seconds that a run has to take back what it began. One that is killed then is finished by the next.
PATIENCE = 60

OPTIONS = {
    "path": {"type": "path", "required": True},
    "executable": {"type": "str", "default": "resync"},
    "upstream": {"type": "str"},
    "onto": {"type": "str"},
    "old_tip": {"type": "str"},
    "commit_map": {"type": "path"},
    "fetch": {"type": "bool", "default": True},
    "expect": {"type": "str"},
    "require_announcement": {"type": "bool"},
    "dirty": {"type": "str", "choices": ["restore", "park", "refuse"]},
    "on_conflict": {"type": "str", "choices": ["park", "stop"]},
    "change_id": {"type": "str", "choices": ["keep", "new"]},
    "advance": {"type": "bool"},
    "to": {"type": "str", "choices": ["tip", "release"]},
    "pre": {"type": "bool", "default": False},
    "constraint": {"type": "str"},
    "branch": {"type": "list", "elements": "str", "default": []},
    "all_branches": {"type": "bool", "default": False},
    "only_current": {"type": "bool", "default": False},
    "include_untracked": {"type": "bool", "default": False},
    "keep_dropped": {"type": "bool", "default": False},
    "redo": {"type": "bool", "default": False},
    "timeout": {"type": "int", "default": 0},
}
WITH_VALUE = (
    *("upstream", "onto", "old_tip", "commit_map", "expect"),
    *("dirty", "on_conflict", "change_id", "to", "constraint"),
)
YES_OR_NO = ("require_announcement", "advance")
SWITCHES = ("pre", "all_branches", "only_current", "include_untracked", "keep_dropped", "redo")


def main():
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    result = {"changed": False, "waits": False, "busy": False}
    if not os.path.isabs(module.params["path"]):
        module.fail_json(msg="path has to be absolute. Nothing was changed.", **result)
    command = starter(module, result) + arguments(module.params, module.check_mode)
    status, out, err = start(module, command, result)
    result.update(status=status, command=command, busy=status == BUSY)
    if err.strip():
        result["stderr"] = err
    try:
        said = json.loads(out)
    except ValueError:
        module.fail_json(msg=shown(err or out) or f"resync ended with status {status} and no word", **result)
    result["resync"] = said
    for sentence in said.get("warnings") or ():
        module.warn(shown(sentence))
    conclude(module, said, status, result)


def starter(module, result):
    """The words that start resync on this machine."""
    name = module.params["executable"]
    path = name if os.sep in name else module.get_bin_path(name)
    if path is None or not os.path.isfile(path):
        module.fail_json(
            msg=f"There is no command {name} on this machine. Nothing was changed. Have the zipapp copied"
            " (role resync.resync.checkout), or name another executable.",
            **result,
        )
    return [sys.executable, path] if zipfile.is_zipfile(path) else [path]


def arguments(params, check_mode):
    """The command line for what the task asks."""
    words = ["plan" if check_mode else "run", "--yes", "--json", "--repo=" + params["path"]]
    if not params["fetch"]:
        words.append("--no-fetch")
    words += [
        option(name if params[name] else "no_" + name) for name in YES_OR_NO if params[name] is not None
    ]
    # With the value in the same word, so that none is taken for an option.
    words += [option(name) + "=" + params[name] for name in WITH_VALUE if params[name] is not None]
    words += ["--branch=" + pattern for pattern in params["branch"]]
    words += [option(name) for name in SWITCHES if params[name]]
    return words


def option(name):
    return "--" + name.replace("_", "-")


def start(module, command, result):
    """Run it to its end; its exit status and what it printed, as text."""
    clocks = []

    def limit(process):
        if module.params["timeout"]:
            for seconds, stop in ((0, process.terminate), (PATIENCE, process.kill)):
                clocks.append(threading.Timer(module.params["timeout"] + seconds, stop))
                clocks[-1].daemon = True
                clocks[-1].start()

    try:
        status, out, err = module.run_command(
            command,
            handle_exceptions=False,
            expand_user_and_vars=False,
            before_communicate_callback=limit,
        )
    except OSError as error:
        module.fail_json(msg=f"{command[0]} cannot be started ({error}). Nothing was changed.", **result)
    for clock in clocks:
        clock.cancel()
    if status == -signal.SIGKILL:
        module.fail_json(
            msg="resync was killed, or did not stop when it was asked to. Everything is backed up;"
            " the next run finishes it.",
            **result,
        )
    return status, out, err


def conclude(module, said, status, result):
    """Leave with the result: a failure, or what was done (in check mode, what would be)."""
    error = said.get("error")
    foreseen = module.check_mode and status == DUE
    if status not in (OK, WAITING, UNFINISHED) and not foreseen:
        module.fail_json(msg=failure(said, status), **result)
    # Without the record of a run nothing but remote-tracking branches moved. A run that was interrupted
    # is finished by the next.
    interrupted = status == UNFINISHED and error is not None and error.get("kind") == "interrupted-run"
    result["changed"] = bool(said.get("run")) or (module.check_mode and interrupted)
    result["waits"] = status in (WAITING, UNFINISHED) or (foreseen and would_wait(said))
    result["msg"] = failure(said, status) if error else summary(said, result["changed"], module.check_mode)
    if result["changed"] and not error:
        result["diff"] = difference(said)
    module.exit_json(**result)


def failure(said, status):
    """What is wrong, and the command that helps."""
    error = said.get("error") or {}
    words = [error.get("message") or f"resync ended with status {status}"]
    if said.get("hint"):
        words.append("try: " + said["hint"].replace("\n", "\nor: "))
    return shown("\n".join(words))


def would_wait(said):
    """Whether a person would be needed after the run that was planned."""
    return (
        any(commit["verdict"] in ("parked", "dropped-by-upstream") for commit in said["commits"])
        or any(file["verdict"] == "parked" for file in said["files"])
        or any(branch.get("waits") for branch in said["branches"])
        or bool(said.get("elsewhere"))
    )


def summary(said, changed, check_mode):
    """What became, or would become, of the branch, in one line."""
    upstream = said.get("upstream") or {}
    if not changed:
        return shown("nothing to do: upstream is " + upstream.get("kind", "unknown"))
    branch, verb = said["branches"][0], "would move" if check_mode else "moved"
    old, new = short(branch["old_tip"]), short(branch["new_tip"])
    moves = f"{branch['name'] or 'HEAD'} {verb} from {old} to {new}"
    counts = {}
    for each in said["commits"] + said["files"]:
        counts[each["verdict"]] = counts.get(each["verdict"], 0) + 1
    return shown(", ".join([moves] + [f"{number} {verdict}" for verdict, number in sorted(counts.items())]))


def difference(said):
    """Tips, local commits and edited files, before and after, in the form that Ansible prints."""
    before, after = [], []
    for branch in said["branches"]:
        before.append(f"branch {branch['name']} {short(branch['old_tip'])}")
        stays = branch["new_tip"] == branch["old_tip"] or branch.get("waits")
        after.append(f"branch {branch['name']} {branch.get('reason') if stays else short(branch['new_tip'])}")
    for commit in said["commits"]:
        before.append(f"commit {short(commit['oid'])} {commit['subject']}")
        new = " as " + short(commit["new_oid"]) if commit["new_oid"] else ""
        after.append(f"{before[-1]}: {commit['verdict']}{new}")
    for file in said["files"]:
        before.append(f"{file['state']} file {file['path']}")
        after.append(f"{before[-1]}: {file['verdict']}")
    rescue = said.get("rescue")
    if rescue:
        after.append(f"branch {rescue['branch']} {short(rescue['oid'])}")
    return {
        "before_header": shown(said["checkout"]),
        "after_header": shown(said["checkout"]),
        "before": "".join(shown(line) + "\n" for line in before),
        "after": "".join(shown(line) + "\n" for line in after),
    }


def short(oid):
    return oid[:10] if oid else "nothing"


def shown(text):
    """Text with everything escaped that a terminal would obey: some of it is upstream's."""
    return "".join(
        each if each.isprintable() or each == "\n" else repr(each)[1:-1] for each in text.strip("\n")
    )


if __name__ == "__main__":
    main()
