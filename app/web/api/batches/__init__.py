"""Batches of partners: thousands of photos at once, of which none is lost.

Every address asks for a partner's key, and shows a partner its own batches only: another's is not there.
"""

from __future__ import annotations

from fastapi import APIRouter

from app.web.api.batches import following, handing_over, life, sending

router = APIRouter(tags=["batches"])
for part in (life, sending, following, handing_over):
    router.include_router(part.router)
