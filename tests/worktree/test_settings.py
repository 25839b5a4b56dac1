"""Settings out of git's configuration, in the spellings that git takes."""

from __future__ import annotations

import io
import os

import pytest
from dulwich.config import ConfigFile, StackedConfig

from resync.errors import UsageError
from resync.worktree.settings import (
    FilterDriver,
    MergeDriver,
    MergeSettings,
    WorktreeSettings,
    read_merge_settings,
    read_settings,
)

from .conftest import Sandbox


def settings(*files: str) -> WorktreeSettings:
    """The settings that configuration files make, the strongest first."""
    return read_settings(stacked(*files), common_dir="/repo/.git", user_dir="/home/u/.config/git")


def stacked(*files: str) -> StackedConfig:
    return StackedConfig([ConfigFile.from_file(io.BytesIO(text.encode())) for text in files])


def test_nothing_configured_is_gits_default() -> None:
    assert settings("") == WorktreeSettings(
        attribute_files=("/etc/gitattributes", "/home/u/.config/git/attributes"),
        info_attributes="/repo/.git/info/attributes",
        exclude_files=("/home/u/.config/git/ignore", "/repo/.git/info/exclude"),
    )


@pytest.mark.parametrize(
    "spelled", ["true", "TRUE", "yes", "on", "1", "-1", "7", "false", "No", "off", "0", "", None]
)
def test_booleans_as_git_takes_them(sandbox: Sandbox, spelled: str | None) -> None:
    line = "filemode" if spelled is None else f"filemode = {spelled}"
    config = f"[core]\n\t{line}\n\t{line.replace('filemode', 'trustctime')}\n"
    sandbox.write("config", config.encode())
    git = sandbox.git("config", "-f", "config", "--type=bool", "core.filemode").strip() == b"true"
    assert settings(config).file_mode is git
    assert settings(config).trust_ctime is git


def test_every_setting() -> None:
    made = settings(
        "[Core]\nFileMode=false\nsymlinks=no\nignorecase=1\nprecomposeunicode=on\ntrustctime=off\n"
        "checkStat=Minimal\nautocrlf=Input\neol=CRLF\nattributesFile=~/a\nexcludesFile=\n"
        '[filter "LFS"]\nclean=c %f\nsmudge=s %f\nprocess=p\nrequired\n[filter "x"]\n'
        "[resync]\ntimeout=2k\n"
    )
    assert made == WorktreeSettings(
        file_mode=False,
        symlinks=False,
        ignore_case=True,
        precompose_unicode=True,
        trust_ctime=False,
        check_stat=False,
        auto_crlf="input",
        eol="crlf",
        filters={
            b"LFS": FilterDriver(clean=b"c %f", smudge=b"s %f", process=b"p", required=True),
            b"x": FilterDriver(),
        },
        attribute_files=("/etc/gitattributes", os.path.expanduser("~/a")),
        info_attributes="/repo/.git/info/attributes",
        exclude_files=("", "/repo/.git/info/exclude"),
        timeout=2048,
    )


def test_the_repository_counts_more_than_the_user() -> None:
    assert settings("[core]\nautocrlf=false\n", "[core]\nautocrlf=true\neol=crlf\n").auto_crlf == "false"
    assert settings("", "[core]\nautocrlf=true\neol=crlf\n").eol == "crlf"


@pytest.mark.parametrize("key", ["fileMode", "autocrlf", "trustCtime"])
def test_a_value_that_is_neither_is_refused(key: str) -> None:
    with pytest.raises(UsageError) as refused:
        settings(f"[core]\n{key} = perhaps\n")
    assert refused.value.kind == "bad-config"
    assert f"core.{key}" in refused.value.message
    assert "'perhaps'" in refused.value.message
    assert refused.value.hint == f"git config core.{key} true"


@pytest.mark.parametrize("value", ["0", "-1", "soon", "", "1.5.", "1t"])
def test_a_timeout_is_a_number_of_seconds(value: str) -> None:
    with pytest.raises(UsageError, match=r"^resync\.timeout is .*, which is no number of seconds above 0\."):
        settings(f"[resync]\ntimeout={value}\n")


# --- merging -----------------------------------------------------------------------------------------


def merging(*files: str) -> MergeSettings:
    return read_merge_settings(stacked(*files))


def test_nothing_configured_about_merging_is_gits_default() -> None:
    assert merging("") == MergeSettings()


def test_every_setting_about_merging() -> None:
    made = merging(
        "[Merge]\ndefault=a.b\nconflictStyle=zdiff3\nrenames=Copies\nrenameLimit=1k\n"
        "directoryRenames=yes\ndriver=of none\n[diff]\nrenames=false\nrenameLimit=7\n"
        '[merge "a.b"]\ndriver=first\ndriver=x %A\nrecursive=binary\n[Merge "A"]\nname=only a name\n'
    )
    assert made == MergeSettings(
        default=b"a.b",
        drivers={
            b"a.b": MergeDriver(command=b"x %A", recursive=b"binary"),
            b"A": MergeDriver(),
        },
        style="zdiff3",
        renames=True,
        rename_limit=1024,
        directory_renames="apply",
    )


def test_merging_goes_by_what_is_set_for_diffs() -> None:
    made = merging("[diff]\nrenames=false\nrenameLimit=7\n")
    assert (made.renames, made.rename_limit) == (False, 7)


@pytest.mark.parametrize(
    ("value", "meant"), [("conflict", "conflict"), ("false", "ignore"), ("0", "ignore"), ("new", "conflict")]
)
def test_what_becomes_of_renamed_directories(value: str, meant: str) -> None:
    assert merging(f"[merge]\ndirectoryRenames={value}\n").directory_renames == meant


@pytest.mark.parametrize(
    "line", ["conflictStyle=DIFF3", "conflictStyle=", "renames=perhaps", "renameLimit=x", "renameLimit"]
)
def test_what_git_does_not_take_either(line: str) -> None:
    name = line.partition("=")[0]
    with pytest.raises(UsageError, match=rf"^merge\.{name} is ") as refused:
        merging(f"[merge]\n{line}\n")
    assert refused.value.kind == "bad-config"
    assert refused.value.hint.startswith(f"git config merge.{name} ")
