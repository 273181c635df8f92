"""Red Ribbons: a photo becomes a profile picture that carries the campaign's frame."""

__version__ = "0.2.0"
