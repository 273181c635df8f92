"""thumbor's own engine, but for how it writes a JPEG.

After its filter ``watermark`` the stock engine writes 4:2:0, whatever is configured, and always optimises the
tables: less chroma than ours for more CPU. This one writes as ours does, which is in thumbor's favour.
"""

from __future__ import annotations

import io
import os

from thumbor.engines.pil import Engine as StockEngine


class Engine(StockEngine):  # type: ignore[misc] # thumbor is not installed where types are checked
    """Reads, crops, resizes and pastes as thumbor does."""

    def read(self, extension: str | None = None, quality: int | None = None) -> bytes:  # noqa: ARG002 - thumbor's
        """Encode the picture."""
        buffer = io.BytesIO()
        picture = self.image.convert("RGB")
        picture.save(buffer, "JPEG", quality=int(os.environ["JPEG_QUALITY"]), subsampling="4:4:4")
        return buffer.getvalue()
