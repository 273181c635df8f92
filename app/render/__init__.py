"""The core: bytes in, bytes out. Knows no request, no argv and no environment."""
