"""Static files under names that hold their hash, so that browsers may keep them for ever.

``base.css`` is served as ``/static/base.1a2b3c4d5e6f.css``. Where a script imports ``"./crop.js"`` or a style
sheet refers to ``url("./cairo.woff2")``, the hashed name is
written in; a hash covers what its file refers to. Some of that lies elsewhere: :data:`ELSEWHERE`.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.responses import Response

from app.errors import NotFound
from app.render import yunet

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

STATIC_FOLDER = Path(__file__).parents[1] / "static"

MEDIA_TYPES: Mapping[str, str] = {
    ".css": "text/css; charset=utf-8",
    ".int8": "application/octet-stream",
    ".ico": "image/vnd.microsoft.icon",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
"""The kinds of file that there are."""

ELSEWHERE: Mapping[str, Path] = {
    "yunet.int8": yunet.WEIGHTS,
    "yunet.txt": yunet.LICENCE,
}
"""What is not the pages' alone: the weights that find faces, and their licence, which goes where they go."""

_REFERRING = {".css", ".js"}
_REFERENCE = re.compile(r"""(?P<before>["'(])\./(?P<name>[a-z0-9./-]+\.[a-z0-9]+)(?P<after>["')])""")
_DIGITS = 12


class Assets:
    """The files of a folder, read once.

    Args:
        folder: Holds the files; those below folders of their own are not served here, and those of
            :data:`ELSEWHERE` only where one refers to them.

    Raises:
        ValueError: A file refers to one that is not there, or two files refer to each other.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._contents: dict[str, bytes] = {}
        self._hashed: dict[str, str] = {}
        self._being_read: list[str] = []
        for path in sorted(folder.iterdir()):
            if path.suffix in MEDIA_TYPES:
                self._read(path.name)
        self._names = {hashed: name for name, hashed in self._hashed.items()}

    def __iter__(self) -> Iterator[str]:
        return iter(self._hashed)

    def address(self, name: str) -> str:
        """Return where a file is served.

        Raises:
            KeyError: There is no such file.
        """
        return f"/static/{self._hashed[name]}"

    def response(self, hashed: str) -> Response:
        """Return the file of that hashed name.

        Raises:
            NotFound: There is none.
        """
        if hashed not in self._names:
            raise NotFound
        name = self._names[hashed]
        headers = {"Cache-Control": "public, max-age=31536000, immutable"}
        return Response(self._contents[name], headers=headers, media_type=MEDIA_TYPES[Path(name).suffix])

    def _read(self, name: str) -> str:
        """Read a file and what it refers to; return its hashed name."""
        if name in self._hashed:
            return self._hashed[name]
        path = ELSEWHERE.get(name, self._folder / name)
        if name in self._being_read:
            raise ValueError(f"{' -> '.join([*self._being_read, name])}: a circle of references has no hash")
        if not path.is_file():
            raise ValueError(f"{self._being_read[-1]} refers to {name}, which is not there")
        content = path.read_bytes()
        if path.suffix in _REFERRING:
            self._being_read.append(name)
            content = _REFERENCE.sub(self._with_hashed_name, content.decode()).encode()
            self._being_read.pop()
        digest = hashlib.sha256(content).hexdigest()[:_DIGITS]
        self._contents[name] = content
        self._hashed[name] = f"{Path(name).stem}.{digest}{path.suffix}"
        return self._hashed[name]

    def _with_hashed_name(self, reference: re.Match[str]) -> str:
        return f"{reference['before']}./{self._read(reference['name'])}{reference['after']}"
