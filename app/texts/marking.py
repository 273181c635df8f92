"""Marks texts for the catalogues, at no cost to who only marks."""


def mark(message: str) -> str:
    """Mark a text for the catalogues where it stands; it is translated where it is shown."""
    return message
