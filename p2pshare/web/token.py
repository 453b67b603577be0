"""The token that opens a service to its owner: made once, kept in a file that only its owner reads."""

from __future__ import annotations

import os
import re
import secrets
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from p2pshare.errors import ConfigError

TOKEN_FILE = "token"
_SHORTEST = 16  # characters; what people choose is guessed faster than its length says
_TOKEN = re.compile(rf"[A-Za-z0-9._~+/=-]{{{_SHORTEST},512}}")  # what may stand in a Bearer header and in a URL


def _random_token() -> str:
    return secrets.token_urlsafe(32)


def check_token(token: str, source: str) -> str:
    """
    Make sure that a token can be used.

    :param source: where it comes from, for the message, which must not show it.
    :raise ConfigError: it is too short, or holds something that has no place in a header.
    """
    if _TOKEN.fullmatch(token) is None:
        raise ConfigError(
            f"{source}: a token of {len(token)} characters; expected {_SHORTEST} to 512 letters, digits or ._~+/=-"
        )
    return token


def make_or_read_token(folder: Path, make: Callable[[], str] = _random_token) -> tuple[str, bool]:
    """
    Read the token kept in a folder; the first time, make it. Two processes at once get the same one. Blocks.

    :return: the token, and whether it is new.
    :raise ConfigError: others could read the file, it holds no token, or it cannot be used.
    """
    path = folder / TOKEN_FILE
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            return _read(path), False
        except FileNotFoundError:
            return _make(path, make())
    except OSError as error:
        raise ConfigError(f"token file {path}: {error.strerror}") from error


def _read(path: Path) -> str:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(fd, encoding="ascii", errors="replace") as file:
        mode = os.fstat(fd).st_mode
        if not stat.S_ISREG(mode):
            raise ConfigError(f"token file {path}: is no ordinary file")
        if mode & 0o077:
            raise ConfigError(f"token file {path}: others may read it (mode {mode & 0o777:03o}); chmod 600 it")
        return check_token(file.read(1024).strip(), f"token file {path}")


def _make(path: Path, token: str) -> tuple[str, bool]:
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    with suppress(FileNotFoundError):
        unfinished.unlink()  # of a process that had our number
    fd = os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with open(fd, "w", encoding="ascii") as file:
            file.write(f"{token}\n")
            file.flush()
            os.fsync(fd)
        os.link(unfinished, path)  # nobody ever sees a file that is half written, and only one process gets there
    except FileExistsError:
        return _read(path), False
    finally:
        unfinished.unlink()
    return token, True
