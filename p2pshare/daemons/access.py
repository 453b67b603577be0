"""Which token opens a service to its owner."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path

from attrs import field, frozen

from p2pshare.addresses import plain_host
from p2pshare.errors import ConfigError
from p2pshare.web.token import check_token, make_or_read_token

TOKEN_VARIABLE = "P2PSHARE_TOKEN"


@frozen
class Key:
    """The token, and whether it has just been made, so that its owner has to be told."""

    token: str | None = field(repr=False)  # None: nobody needs one, as only this machine can connect
    is_new: bool = False


def choose_key(
    configured: str | None, *, bind: str, required: bool, folder: Path | None, environment: Mapping[str, str]
) -> Key:
    """
    Choose the token: that of the settings, else of the environment, else one made for whoever can be reached.

    :param folder: where a token that was made is kept; None: nowhere, it is another one after a restart.
    :param required: make none.
    :raise ConfigError: a token cannot be used, or none is there though it is required.
    """
    if configured is not None:
        return Key(check_token(configured, "token"))
    if given := environment.get(TOKEN_VARIABLE):
        return Key(check_token(given, TOKEN_VARIABLE))
    if required:
        raise ConfigError(
            f"require_token is set, but there is no token: give token in the settings, or {TOKEN_VARIABLE}"
        )
    if ip_address(plain_host(bind)).is_loopback:
        return Key(None)
    if folder is None:
        return Key(secrets.token_urlsafe(32), is_new=True)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Key(*make_or_read_token(folder))
