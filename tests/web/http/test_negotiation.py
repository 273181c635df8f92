from __future__ import annotations

import pytest

from app.web.http.negotiation import negotiate


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "en"),
        ("", "en"),
        ("*", "en"),
        ("fr", "en"),
        ("ar", "ar"),
        ("AR-ps", "ar"),
        ("ar, en", "ar"),
        ("en, ar", "en"),
        ("en;q=0.5, ar;q=0.9", "ar"),
        ("fr-FR,fr;q=0.9,ar;q=0.8,en;q=0.7", "ar"),
        ("ar;q=0, en;q=0.1", "en"),
        ("ar;q=0", "en"),
        ("ar;q=nonsense, en;q=0.2", "en"),
        ("ar ; q=0.3 , en;q=0.2", "ar"),
        ("ar;q=9", "en"),
        ("arc", "en"),
        (",;,=q;;", "en"),
    ],
)
def test_the_language_is_negotiated(header: str | None, language: str) -> None:
    """The better-liked of the two wins; English where neither is asked for."""
    assert negotiate(header, ("ar", "en"), "en") == language
