# ruff: noqa: INP001, T201 (a script, no package; it prints)
"""Let Aref Ruqaa's marks follow its kerning: ``python fonts/mend.py``; a second run changes nothing.

The font's kerning also raises and lowers letters, and it comes after the lookups that place dots and vowel
signs. Up to 14.2 HarfBuzz moved a mark with its letter in the end, whatever came after; since 14.3 a mark
keeps the height it had when its lookup was applied, as in Core Text and DirectWrite
(github.com/harfbuzz/harfbuzz, issues 4596 and 6220). There the dots of ثورة fall into the letter. So the
kerning is moved before the marks. Version 1.003 is the newest, and no outline, width or anchor is touched.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from fontTools.ttLib import TTFont

RUQAA = Path(__file__).parent / "aref-ruqaa/ArefRuqaa_700Bold.ttf"
NOTE = "; kerning before marks"


def mend(file: Path) -> bytes:
    """Return a font whose kerning comes before its marks, and whose version says so."""
    font = TTFont(file, recalcTimestamp=False)
    positioning = font["GPOS"].table
    before = positioning.LookupList.Lookup
    kerning = _kerning(positioning)
    first_mark = min(_of_feature(positioning, "mark"))
    rest = [index for index in range(len(before)) if index not in kerning]
    order = [
        *(index for index in rest if index < first_mark),
        *sorted(kerning),
        *(index for index in rest if index >= first_mark),
    ]
    _renumber(positioning, {old: new for new, old in enumerate(order)})
    positioning.LookupList.Lookup = [before[index] for index in order]
    for record in font["name"].names:
        if record.nameID == 5 and NOTE not in (version := record.toUnicode()):
            record.string = version + NOTE
    content = io.BytesIO()
    font.save(content)
    return content.getvalue()


def _of_feature(positioning: Any, tag: str) -> set[int]:
    features = positioning.FeatureList.FeatureRecord
    return {
        index
        for feature in features
        if feature.FeatureTag == tag
        for index in feature.Feature.LookupListIndex
    }


def _kerning(positioning: Any) -> set[int]:
    """Return the lookups of the kerning and those that only it applies."""
    asked = {tag: _of_feature(positioning, tag) for tag in ("kern", "mark", "mkmk", "curs")}
    own = asked["kern"] | {index for lookup in asked["kern"] for index in _applied_by(positioning, lookup)}
    others = set().union(*(asked[tag] for tag in ("mark", "mkmk", "curs")))
    return own - others - {index for lookup in others for index in _applied_by(positioning, lookup)}


def _records(lookup: Any) -> list[Any]:
    """Return a chaining lookup's records of what it applies (coverage format, the only one here)."""
    subtables = (getattr(subtable, "ExtSubTable", subtable) for subtable in lookup.SubTable)
    return [record for subtable in subtables for record in getattr(subtable, "PosLookupRecord", [])]


def _applied_by(positioning: Any, lookup: int) -> set[int]:
    return {record.LookupListIndex for record in _records(positioning.LookupList.Lookup[lookup])}


def _renumber(positioning: Any, numbers: dict[int, int]) -> None:
    for feature in positioning.FeatureList.FeatureRecord:
        feature.Feature.LookupListIndex = sorted(numbers[index] for index in feature.Feature.LookupListIndex)
    for lookup in positioning.LookupList.Lookup:
        for record in _records(lookup):
            record.LookupListIndex = numbers[record.LookupListIndex]


if __name__ == "__main__":
    RUQAA.write_bytes(mend(RUQAA))
    print(f"{RUQAA.name}: kerning comes before marks")
