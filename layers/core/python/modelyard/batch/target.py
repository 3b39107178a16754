"""The model version that a job runs against, as the registry hands it over."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from modelyard.serving.errors import InvalidParameter
from modelyard.serving.route import Route, VersionRoute
from modelyard.serving.signature import Signature

_VERSION = re.compile(r"v?([1-9][0-9]{0,8})")


@dataclass(frozen=True, slots=True)
class Target:
    model_id: str
    version: VersionRoute
    signature: Signature


FindTarget = Callable[[str, str, str | None], Target]
"""(user id, model id, `?version=` or None) → the version; raises `NotFound` or one of `choose`'s errors."""

FindRoute = Callable[[str, str], Route | None]
"""(user id, model id) → the model's ready versions; None where it is gone or foreign."""


def choose(route: Route, wished: str | None) -> VersionRoute:
    """The version that `?version=` names, or the default. Raises what the caller may be told."""
    if wished is None:
        return route.pick(None)
    match = _VERSION.fullmatch(wished)
    if match is None:
        raise InvalidParameter("version is a number such as 2 or v2.")
    return route.pick(int(match.group(1)))


def asked_outputs(signature: Signature, wished: Sequence[str] | None) -> list[str]:
    """The outputs to predict: those asked for, in order, or the model's first one."""
    if not wished:
        return signature.outputs[:1]
    for name in wished:
        if name not in signature.outputs:
            raise InvalidParameter(f"This model gives {', '.join(signature.outputs)}.")
    return list(dict.fromkeys(wished))
