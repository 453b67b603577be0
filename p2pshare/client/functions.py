"""Settings that name a function: one of ours, or of an installed package."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import Attribute

from p2pshare.errors import ConfigError
from p2pshare.plugins import find_function
from p2pshare.settings import Validator


def found(kind: str, ours: Mapping[str, Callable[..., Any]]) -> Validator:
    """Make a validator: a name under which there is a function of a kind."""

    def check(instance: Any, attribute: Attribute[Any], value: str) -> None:
        try:
            find_function(kind, ours, value)
        except ConfigError as error:
            raise ValueError(str(error).partition(" ")[2]) from None  # the name of the key is known

    return check
