"""Which of the languages on offer a reader gets."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

T = TypeVar("T", bound=str)


def negotiate(accept_language: str | None, offered: Sequence[T], default: T) -> T:
    """Choose the language of an answer from the request's Accept-Language (RFC 9110, 12.5.4).

    A range matches with its subtags (``ar-PS`` is Arabic). Among equals the first one named wins.
    """
    best, best_quality = default, 0.0
    for tag, quality in _ranges(accept_language or ""):
        primary = tag.partition("-")[0]
        for language in offered:
            if primary == language and quality > best_quality:
                best, best_quality = language, quality
    return best


def _ranges(accept_language: str) -> Iterator[tuple[str, float]]:
    # Twenty ranges are more than any browser sends.
    for item in accept_language.lower().split(",")[:20]:
        tag, _, parameter = item.partition(";")
        name, _, value = parameter.partition("=")
        try:
            quality = float(value) if name.strip() == "q" else 1.0
        except ValueError:
            continue
        if 0 < quality <= 1:
            yield tag.strip(), quality
