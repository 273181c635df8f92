"""What became of a photo, as it is kept: JSON, which is then sealed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app.errors import FieldProblem, InternalError, InvalidSpec, RibbonsError
from app.render.framing import Choice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.errors import Param


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a photo.

    Attributes:
        error: Why there is no avatar; None where there is one.
        framing: Which square of the photo the avatar shows, and how it was chosen.
        seconds: That drawing it took.
        size: The avatar's bytes.
        crc: The avatar's CRC-32, as a ZIP has it.
    """

    error: RibbonsError | None = None
    framing: Choice | None = None
    seconds: float | None = None
    size: int = 0
    crc: int = 0


def pack(outcome: Outcome) -> bytes:
    """Write an outcome down."""
    values = {
        "error": _packed(outcome.error) if outcome.error else None,
        "framing": outcome.framing,
        "seconds": outcome.seconds,
        "size": outcome.size,
        "crc": outcome.crc,
    }
    return json.dumps(values, ensure_ascii=False).encode()


def unpack(packed: bytes) -> Outcome:
    """Read what :func:`pack` has written, of this version or an earlier one."""
    values = json.loads(packed)
    return Outcome(
        error=_unpacked(values["error"]) if values["error"] else None,
        framing=Choice(*values["framing"]) if values["framing"] else None,
        seconds=values["seconds"],
        size=values["size"],
        crc=values["crc"],
    )


def _packed(error: RibbonsError) -> dict[str, Any]:
    if isinstance(error, InvalidSpec):
        return {"code": error.code, "problems": [[p.field, p.kind, dict(p.params)] for p in error.problems]}
    return {"code": error.code, "params": error.params}


def _unpacked(values: dict[str, Any]) -> RibbonsError:
    if values["code"] == InvalidSpec.code:
        problems = [
            FieldProblem.of(field, kind, **_params(params)) for field, kind, params in values["problems"]
        ]
        return InvalidSpec(problems)
    # One that a newer version has written, and this one does not know.
    kind = _KINDS.get(values["code"], InternalError)
    return kind(**_params(values["params"]))


def _params(params: dict[str, Any]) -> dict[str, Param]:
    """JSON has no tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in params.items()}


def _kinds(root: type[RibbonsError]) -> Iterator[type[RibbonsError]]:
    for kind in root.__subclasses__():
        yield kind
        yield from _kinds(kind)


_KINDS = {kind.code: kind for kind in _kinds(RibbonsError) if hasattr(kind, "code")}
