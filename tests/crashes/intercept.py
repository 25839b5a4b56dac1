"""Ends a process at one of its calls to the system, or fails that one, by seccomp's notifications.

A process asks the kernel to hand its calls of one name over (seccomp_unotify(2)). Who forked it counts them,
lets them go on, and answers the one that is meant: with an error, or with SIGKILL, before it takes effect.
strace can do that too, but stops a process that it was attached to at every call, and a run makes thousands.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import functools
import os
import platform
import select
import signal
import socket
import struct
import sys
from dataclasses import dataclass

# By machine: its audit architecture (linux/audit.h), the number of seccomp(2), and those of the calls that
# may be handed over (asm/unistd.h).
_MACHINES = {
    "x86_64": (
        0xC000003E,
        317,
        "write 1 open 2 pwrite64 18 writev 20 sendfile 40 fsync 74 fdatasync 75 truncate 76 ftruncate 77"
        " rename 82 mkdir 83 rmdir 84 creat 85 link 86 unlink 87 symlink 88 chmod 90 fchmod 91 chown 92"
        " fchown 93 lchown 94 mknod 133 sync 162 setxattr 188 fsetxattr 190 openat 257 mkdirat 258"
        " mknodat 259 fchownat 260 unlinkat 263 renameat 264 linkat 265 symlinkat 266 fchmodat 268"
        " utimensat 280 fallocate 285 syncfs 306 renameat2 316 copy_file_range 326",
    ),
    "aarch64": (
        0xC00000B7,
        277,
        "setxattr 5 fsetxattr 7 mknodat 33 mkdirat 34 unlinkat 35 symlinkat 36 linkat 37 renameat 38"
        " truncate 45 ftruncate 46 fallocate 47 fchmod 52 fchmodat 53 fchownat 54 fchown 55 openat 56"
        " write 64 writev 66 pwrite64 68 sendfile 71 sync 81 fsync 82 fdatasync 83 utimensat 88"
        " syncfs 267 renameat2 276 copy_file_range 285",
    ),
}

# linux/seccomp.h, linux/bpf_common.h, linux/prctl.h
_NO_NEW_PRIVILEGES, _SET_FILTER, _LISTENER = 38, 1, 8
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _NOTIFY = 0x7FFF0000, 0x7FC00000
_RECEIVE, _ANSWER, _GO_ON = 0xC0502100, 0xC0182101, 1
_SIZE, _CALL, _REPLY = 80, struct.Struct("QI"), struct.Struct("QqiI")


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """What happens at call number ``nth`` (from 1) of this name by the process itself.

    ``error`` is that with which it fails (ENOSPC ...), None: SIGKILL. ``on``: every later one fails as well.
    """

    name: str
    nth: int
    error: str | None = None
    on: bool = False


@functools.cache
def unusable() -> str:
    """Empty where calls can be intercepted here, else why not."""
    if sys.platform != "linux" or platform.machine() not in _MACHINES:
        return f"no calls can be intercepted on {sys.platform} {platform.machine()}"
    here, there = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        try:
            hand_over("mkdirat", there)
            os.mkdir("none/such", dir_fd=os.open("/", os.O_RDONLY))
        finally:
            os._exit(0)
    there.close()
    status = answer(here, pid, End(name="mkdirat", nth=1))
    return "" if status == -signal.SIGKILL else "the system lets no calls be intercepted (seccomp_unotify(2))"


def hand_over(name: str, to: socket.socket) -> None:
    """From now on this process and its children hand calls of this name to the other end of ``to``."""
    machine, seccomp, numbers = _MACHINES[platform.machine()]
    words = numbers.split()
    number = int(words[words.index(name) + 1])
    rows = [
        (_LOAD, 0, 0, 4),
        (_JUMP_IF_EQUAL, 1, 0, machine),
        (_RETURN, 0, 0, _ALLOW),
        (_LOAD, 0, 0, 0),
        (_JUMP_IF_EQUAL, 0, 1, number),
        (_RETURN, 0, 0, _NOTIFY),
        (_RETURN, 0, 0, _ALLOW),
    ]
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *row) for row in rows))
    whole = ctypes.create_string_buffer(struct.pack("HP", len(rows), ctypes.addressof(program)))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    listener = libc.syscall(seccomp, _SET_FILTER, _LISTENER, whole)
    if listener < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    socket.send_fds(to, [b"!"], [listener])
    os.close(listener)


def answer(calls: socket.socket, pid: int, end: End) -> int:
    """Answer the calls that the child ``pid`` hands over, until it has ended; return its status.

    One that it started and left behind gets no answer any more: its calls fail with ENOSYS.
    """
    ended = os.pidfd_open(pid)
    try:
        listener = _received(calls)
        if listener is not None:
            try:
                _serve(listener, ended, pid, end)
            finally:
                os.close(listener)
    finally:
        os.close(ended)
        calls.close()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _received(calls: socket.socket) -> int | None:
    _, descriptors, _, _ = socket.recv_fds(calls, 1, 1)
    return descriptors[0] if descriptors else None


def _serve(listener: int, ended: int, pid: int, end: End) -> None:
    waiting = select.poll()
    waiting.register(listener, select.POLLIN)
    waiting.register(ended, select.POLLIN)
    seen = 0
    while True:
        ready = dict(waiting.poll())
        if ready.get(listener, 0) & select.POLLIN:
            call = bytearray(_SIZE)
            try:
                fcntl.ioctl(listener, _RECEIVE, call)
            except FileNotFoundError:  # who called has been killed
                continue
            number, caller = _CALL.unpack_from(call)
            mine = caller == pid
            seen += mine
            error = 0
            if mine and (seen == end.nth or (end.on and seen > end.nth)):
                if end.error is None:
                    os.kill(pid, signal.SIGKILL)
                    return
                error = getattr(errno, end.error)
            reply = _REPLY.pack(number, 0, -error, 0 if error else _GO_ON)
            try:
                fcntl.ioctl(listener, _ANSWER, bytearray(reply))
            except FileNotFoundError:
                continue
        elif ended in ready:
            return
