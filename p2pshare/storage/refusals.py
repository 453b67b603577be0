"""What the operating system refuses, in words that name the path and say what to do about it."""

from __future__ import annotations

import errno

from p2pshare.errors import DiskFull, StorageError

_FULL = {
    errno.ENOSPC: "no space is left on its disk; make room there",
    errno.EDQUOT: "the disk quota is used up; make room or have it raised",
}
_REFUSED = {
    errno.EACCES: "permission denied; give this user the right to it or choose another folder",
    errno.EPERM: "not permitted; give this user the right to it or choose another folder",
    errno.EROFS: "its disk is read-only; remount it writable or choose another folder",
    errno.ELOOP: "a symbolic link, and content is never reached through one; remove it or choose another folder",
    errno.ENOTDIR: "not a folder; move it away or choose another folder",
    errno.EISDIR: "a folder, where the torrent has a file; move it away or choose another folder",
    errno.EEXIST: "exists already and is never overwritten; move it away or choose another folder",
    errno.ENOENT: "is gone",
    errno.EIO: "the disk reports an input/output error; check the disk",
    errno.EFBIG: "the file is too large for its filesystem or a limit of this process",
    errno.EMFILE: "this process has too many files open; raise its limit (ulimit -n)",
    errno.ENFILE: "the system has too many files open",
    errno.ENAMETOOLONG: "the name is too long for its filesystem; choose a folder with a shorter path",
}
# Refused for want of something that comes back: says nothing about the content itself.
_PASSING = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EINTR})


def storage_error(error: OSError, path: str) -> StorageError:
    """
    Say for people what went wrong: DiskFull when room is missing, otherwise a plain StorageError.

    :param path: where, unless the error itself knows that better.
    """
    number = error.errno or 0
    where = error.filename or path
    if number in _FULL:
        return DiskFull(f"{where}: {_FULL[number]}")
    return StorageError(f"{where}: {_REFUSED.get(number) or error.strerror or error}")


def is_passing(error: OSError) -> bool:
    """Whether the same call may well succeed later, with nothing changed on the disk."""
    return error.errno in _PASSING
