"""Settings out of git's configuration, in the spellings that git takes."""

from __future__ import annotations

import io
import os

import pytest
from dulwich.config import ConfigFile, StackedConfig

from resync.errors import UsageError
from resync.worktree.settings import FilterDriver, WorktreeSettings, read_settings

from .conftest import Sandbox


def settings(*files: str) -> WorktreeSettings:
    """The settings that configuration files make, the strongest first."""
    backends = [ConfigFile.from_file(io.BytesIO(text.encode())) for text in files]
    return read_settings(StackedConfig(backends), common_dir="/repo/.git", user_dir="/home/u/.config/git")


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
