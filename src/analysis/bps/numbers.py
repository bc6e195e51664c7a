"""Numbers as BPS and Satu Data Jakarta print them: decimal and thousands signs, missing marks."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# What stands in a cell without a figure -> its flag. The dash is "none or not applicable" in the
# legends of BPS, the ellipsis "not available".
MISSING = {
    "": "empty",
    "...": "not available",
    "…": "not available",
    "-": "none",
    "–": "none",
    "—": "none",
    "na": "NA",
    "n/a": "NA",
    "n.a.": "NA",
    "n.a": "NA",
}
ODD_SIGN = "odd decimal sign"
EITHER = "either"  # of a number without signs
_PLAIN = re.compile(r"[+-]?\d+(?:\.\d+)?", re.ASCII)  # by far the most cells
_SPACES = re.compile(r"[\s\u00a0\u2007\u2009\u202f]+")
# Marks behind a figure: 4.8*, 4.8 1), 4.8 r (revised), 4.8²; "4.81)" can be read in two ways.
_MARK = re.compile(
    r"(?<=[\d%.…–-])(?:\s*(?:\*+\)?|[¹²³⁴-⁹]\)?)|\s*[erx]{1,2}\)|\s+(?:\d\)|[erx]|xx))$"
)
_CURRENCY = re.compile(r"^Rp\.?\s*")
_SPACED = re.compile(r"^[+-]?[1-9]\d{0,2}(?: \d{3})+(?:[.,]\d+)?$")
# A group of thousands never begins with a zero: "0,123" is a decimal comma.
_POINT = re.compile(r"^[+-]?(?:\d+|[1-9]\d{0,2}(?:,\d{3})+)(?:\.\d+)?$")
_COMMA = re.compile(r"^[+-]?(?:\d+|[1-9]\d{0,2}(?:\.\d{3})+)(?:,\d+)?$")
_READINGS = {".": (_POINT, ","), ",": (_COMMA, ".")}


class NumberError(ValueError):
    """A column of numbers cannot be read, or can be read in two ways."""


@dataclass(frozen=True)
class Numbers:
    """A column read: ``values`` (float, NaN where missing) and a ``flags`` text per value."""

    values: np.ndarray
    flags: list[str]


def is_number(text: str) -> bool:
    """Whether a cell is a number by one sign or the other."""
    token, _ = _token(text)
    return bool(_POINT.match(token) or _COMMA.match(token))


def is_missing(text: str) -> bool:
    """Whether a cell stands for a figure that is missing."""
    return _token(text)[0] in MISSING


def read(
    texts: Sequence[str], *, decimal: str | None = None, thousands: str | None = None
) -> Numbers:
    """Read a column, deciding its decimal and thousands signs for the column as a whole.

    Where a column contradicts itself (``10,02`` beside ``6.18``, as real tables do), each cell is
    read by itself if each can be read in one way only, and the cells that differ from most are
    flagged.

    Parameters
    ----------
    texts
        The cells as published.
    decimal, thousands
        ``"."`` or ``","``; one of them settles the other. Without, the cells decide: ``829.8``
        can only have a decimal point, ``1.234.567`` only thousands points.

    Returns
    -------
    Numbers
        Flags are ``""``, a kind of missing (see `MISSING`), the mark of a footnote (``*``), or
        `ODD_SIGN`.

    Raises
    ------
    NumberError
        A cell is no number, or a cell can be read in two ways and no other decides (both
        readings are shown).
    """
    read_as: dict[str, tuple[str, str]] = {text: _token(text) for text in dict.fromkeys(texts)}
    tokens = {token for token, _ in read_as.values()} - MISSING.keys()
    signs = _decimal_signs(tokens, _settled(decimal, thousands))
    values = {token: _value(token, signs[token]) for token in tokens}
    told = [signs[t] for text in texts if (t := read_as[text][0]) in signs]
    counted = Counter(sign for sign in told if sign != EITHER)
    usual = counted.most_common(1)[0][0] if counted else EITHER
    flags = {}
    for text, (token, mark) in read_as.items():
        odd = token in signs and signs[token] not in (EITHER, usual)
        flags[text] = MISSING.get(token, mark or (ODD_SIGN if odd else ""))
    return Numbers(
        np.array([values.get(read_as[text][0], math.nan) for text in texts], dtype=float),
        [flags[text] for text in texts],
    )


def _token(text: str) -> tuple[str, str]:
    """A cell without spaces, currency and per cent sign, and the footnote mark behind it."""
    if _PLAIN.fullmatch(text):
        return text, ""
    token = _SPACES.sub(" ", text).strip()
    if token.lower() in MISSING:
        return token.lower(), ""
    match = _MARK.search(token)
    mark = match[0].strip() if match else ""
    bare = token[: match.start()] if match else token
    if bare.lower() in MISSING:
        return bare.lower(), ""
    # An apostrophe keeps a number as text in a spreadsheet.
    bare = _CURRENCY.sub("", bare.removeprefix("'").removesuffix("%").strip())
    if bare[:1] in ("−", "–"):
        bare = "-" + bare[1:]
    if _SPACED.match(bare):
        bare = bare.replace(" ", "")
    return (bare, mark) if bare else (token, "")


def _settled(decimal: str | None, thousands: str | None) -> str | None:
    for sign in (decimal, thousands):
        if sign not in (None, ".", ","):
            raise NumberError(f"decimal= and thousands= are '.' or ',', not {sign!r}")
    if decimal and decimal == thousands:
        raise NumberError(f"decimal= and thousands= cannot both be {decimal!r}")
    return decimal or (thousands and _READINGS[thousands][1])


def _decimal_signs(tokens: set[str], given: str | None) -> dict[str, str]:
    """The decimal sign by which each token is read."""
    possible = [given] if given else [".", ","]
    possible = [sign for sign in possible if all(map(_READINGS[sign][0].match, tokens))]
    if len(possible) == 1:
        return dict.fromkeys(tokens, possible[0])
    wrong = sorted(t for t in tokens if not (_POINT.match(t) or _COMMA.match(t)))
    if wrong:
        raise NumberError(f"{wrong[0]!r} is no number")
    if given and not possible:
        first = min(t for t in tokens if not _READINGS[given][0].match(t))
        raise NumberError(f"{first!r} cannot be read with {given!r} as the decimal sign")
    return {token: _own_sign(token) for token in sorted(tokens)}


def _own_sign(token: str) -> str:
    """The only sign by which one token can be read; raises if there are two readings."""
    if token.isdecimal():
        return EITHER
    signs = [sign for sign, (pattern, _) in _READINGS.items() if pattern.match(token)]
    if len(signs) == 1:
        return signs[0]
    point, comma = _value(token, "."), _value(token, ",")
    if point != comma:
        raise NumberError(
            f"{token} can be read as {point!r} or as {comma!r}, and no other cell decides: "
            f"give decimal='.' or decimal=','"
        )
    return EITHER


def _value(token: str, decimal: str) -> float:
    if decimal == EITHER or (decimal == "." and "," not in token):
        return float(token)
    return float(token.replace(_READINGS[decimal][1], "").replace(decimal, "."))
