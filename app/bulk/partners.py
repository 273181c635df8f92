"""Partners: who has a key. Kept of them is the key's digest, and a name that is sealed."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from app import keys
from app.bulk.opened import Partner

if TYPE_CHECKING:
    from sqlalchemy.engine import Row

    from app.bulk.ledger import Ledger
    from app.bulk.sealing import Vault


def add_partner(ledger: Ledger, vault: Vault, name: str, photos_a_day: int | None) -> tuple[Partner, str]:
    """Make a key for a partner, and return both. The key is kept nowhere.

    Args:
        ledger: Where its digest is kept.
        vault: What seals the name.
        name: As whoever runs the service knows them.
        photos_a_day: What the key allows; None for what the settings say.
    """
    key, partner = keys.new_key(), f"p_{secrets.token_hex(6)}"
    ledger.add_partner(
        partner, keys.key_digest(key), vault.seal(name.encode(), _context(partner)), photos_a_day
    )
    return Partner(partner, name, photos_a_day, datetime.now(UTC)), key


def partner_in(row: Row[Any], vault: Vault) -> Partner:
    """Return the partner that a row of the ledger is."""
    return Partner(
        id=row.id,
        name=vault.open(row.name, _context(row.id)).decode(),
        photos_a_day=row.photos_a_day,
        created=datetime.fromtimestamp(row.created, UTC),
        revoked=datetime.fromtimestamp(row.revoked, UTC) if row.revoked else None,
        batches=getattr(row, "batches", 0),
    )


def all_partners(ledger: Ledger, vault: Vault) -> list[Partner]:
    """Return every partner, those too whose key was revoked, in the order in which they came."""
    return [partner_in(row, vault) for row in ledger.all_partners()]


def _context(partner: str) -> str:
    return f"partner/{partner}"
