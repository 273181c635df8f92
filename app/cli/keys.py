"""``ribbons keys``: who may hand over photos by the thousand."""

from __future__ import annotations

import re
import sys
import unicodedata
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from app.cli.options import EXIT_USAGE, fail, read_settings, reader_language
from app.errors import RibbonsError, told
from app.settings import InvalidSettings
from app.texts.marking import mark

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.bulk.ledger import Ledger
    from app.bulk.opened import Partner
    from app.bulk.sealing import Vault
    from app.settings import Settings

MAX_NAME = 100

_ADDED = mark(
    "This is the key of {name} ({id}). It is shown this once: only what it is recognised by is kept. The "
    "secret of its webhooks can be shown again: ribbons keys webhook-secret {id}"
)
_REVOKED = mark("The key of {name} ({id}) opens nothing any more. Its batches go when their time is over.")
_REVOKED_BEFORE = mark("The key of {name} ({id}) was revoked already.")

# Line ends, colours of a terminal, and what turns the direction of all that follows it. Marks of direction
# that stand for themselves, and joiners, belong to Arabic and Persian names.
_CONTROLS = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class _Office(NamedTuple):
    """What the commands need of bulk."""

    settings: Settings
    ledger: Ledger
    vault: Vault


@click.group()
def keys() -> None:
    """Make, list and revoke the keys of partners, who may hand over many photos at once."""


def _name(_context: click.Context, _parameter: click.Parameter, given: str) -> str:
    name = unicodedata.normalize("NFC", given.strip())
    if not name or len(name) > MAX_NAME or _CONTROLS.search(name):
        raise click.BadParameter(f"It must be 1 to {MAX_NAME} characters, without control characters.")
    return name


@keys.command()
@click.argument("name", callback=_name)
@click.option(
    "--photos-a-day",
    type=click.IntRange(1, 100_000_000),
    metavar="N",
    help="Photos that this key may send a day (RIBBONS_PHOTOS_A_DAY).",
)
def add(name: str, photos_a_day: int | None) -> None:
    """Make a key for the organisation NAME, and print it: the key alone on standard output.

    It cannot be shown again. Give it to one organisation, over a channel that you trust.
    """
    from app.bulk.partners import add_partner  # noqa: PLC0415

    with _opened() as office:
        partner, key = add_partner(office.ledger, office.vault, name, photos_a_day)
    click.echo(key)
    _say(_ADDED, partner)


@keys.command("list")
def list_keys() -> None:
    """Print each key: its id, dates (UTC), photos a day, batches now, and whose it is. Tabs lie between."""
    with _opened() as office:
        partners = _partners(office)
    click.echo("id\tcreated\trevoked\tphotos_a_day\tbatches\tname")
    for partner in partners:
        revoked = f"{partner.revoked:%Y-%m-%d}" if partner.revoked else "-"
        photos = partner.photos_a_day or office.settings.photos_a_day
        click.echo(
            f"{partner.id}\t{partner.created:%Y-%m-%d}\t{revoked}\t{photos}\t{partner.batches}\t{partner.name}"
        )


@keys.command()
@click.argument("partner_id", metavar="ID")
def revoke(partner_id: str) -> None:
    """Take the key with this ID back, for good and at once; `ribbons keys list` has the ids.

    Its batches are drawn to their end and erased when their time is over.
    """
    with _opened() as office:
        partner = _partner(office, partner_id)
        was_valid = office.ledger.revoke_partner(partner.id)
    _say(_REVOKED if was_valid else _REVOKED_BEFORE, partner)


@keys.command()
@click.argument("partner_id", metavar="ID")
def webhook_secret(partner_id: str) -> None:
    """Print what the webhooks to the partner with this ID are signed with (Standard Webhooks)."""
    with _opened() as office:
        partner = _partner(office, partner_id)
    click.echo(office.vault.webhook_secret(partner.id))


@contextmanager
def _opened() -> Iterator[_Office]:
    """Open the list of partners, or say what is wrong and end."""
    # Imported here: no other command needs a database, or pays for one.
    from app.bulk.ledger import Ledger  # noqa: PLC0415
    from app.bulk.sealing import open_vault  # noqa: PLC0415
    from app.logs import configure_logging  # noqa: PLC0415

    settings = read_settings()
    configure_logging(settings)
    try:
        vault = open_vault(settings)
        ledger = Ledger.build(settings)
        try:
            ledger.migrate()
            # A partner who was added with another secret than the service has would be none of its.
            ledger.check_secret(vault.fingerprint)
            yield _Office(settings, ledger, vault)
        finally:
            ledger.close()
    except InvalidSettings as error:
        click.echo(str(error), err=True)
        sys.exit(EXIT_USAGE)
    except RibbonsError as error:
        fail(error)


def _partners(office: _Office) -> list[Partner]:
    from app.bulk.partners import all_partners  # noqa: PLC0415

    return all_partners(office.ledger, office.vault)


def _partner(office: _Office, partner_id: str) -> Partner:
    for partner in _partners(office):
        if partner.id == partner_id:
            return partner
    raise click.BadParameter("No key has this id. `ribbons keys list` has those there are.", param_hint="ID")


def _say(text: str, partner: Partner) -> None:
    """Say it in the reader's language, beside what a program reads."""
    params: dict[str, Any] = {"name": partner.name, "id": partner.id}
    click.echo(told(text, params, reader_language()), err=True)
