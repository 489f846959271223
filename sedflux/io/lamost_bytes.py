"""
LAMOST spectra from the bytes of their files: a short way for files that come in millions.

Only files of the usual form are read here.  astropy reads all others, or says what is wrong.
"""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np
from astropy.io import fits

from sedflux.io.lamost import ROWS, is_lamost

__all__ = ["regular_lamost"]

#: Bytes of a card, and of the blocks that headers and data fill.
_CARD, _BLOCK = 80, 2880
#: Cards that a prediction needs, and those that say how the data are stored.
_USED = {name.ljust(8).encode() for name in (
    "SIMPLE", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "BSCALE", "BZERO", "BLANK", "ORIGIN", "DESIG",
    "COEFF0", "COEFF1", "Z", "CLASS", "SUBCLASS", "RA", "DEC")}
_END = b"END".ljust(_CARD)
#: Formats of columns of numbers, and their types.
_KINDS = {"B": ">u1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8"}
_FORM = re.compile(r"(\d*)([BIJKED])")


def regular_lamost(content: bytes) -> tuple[fits.Header, list[np.ndarray]] | None:
    """
    Header and arrays of a LAMOST file in one of its usual forms.

    Parameters
    ----------
    content : bytes
        Of the file, unpacked.

    Returns
    -------
    header : `~astropy.io.fits.Header`
        The cards of the primary header that a prediction needs.
    values : list of `~numpy.ndarray`, shape (n,)
        Flux, inverse variance, wavelength and AND mask.
        None in place of both for any other file.
    """
    begin = _data_begin(content, 0)
    if begin is None or not content.startswith(b"SIMPLE  ="):
        return None
    cards = (content[place:place + _CARD] for place in range(0, begin, _CARD))
    header = fits.Header.fromstring(b"".join(card for card in cards if card[:8] in _USED))
    if not is_lamost(header):
        return None
    if header.get("NAXIS") == 2:
        values = _image(content, begin, header)
    elif header.get("NAXIS") == 0:
        values = _table(content, begin)
    else:
        values = None
    return None if values is None else (header, [value.astype(float) for value in values])


def _data_begin(content: bytes, start: int) -> int | None:
    """Where the data begin that belong to the header at a place."""
    place = content.find(_END, start)
    while place >= 0 and (place - start) % _CARD:
        place = content.find(_END, place + 1)
    return None if place < 0 else start + -(-(place + _CARD - start) // _BLOCK) * _BLOCK


def _image(content: bytes, begin: int, header: fits.Header) -> list[np.ndarray] | None:
    """Rows of an image in single precision."""
    columns, rows = header.get("NAXIS1"), header.get("NAXIS2")
    if header.get("BITPIX") != -32 or {"BSCALE", "BZERO", "BLANK"} & set(header) \
            or type(columns) is not int or type(rows) is not int or columns < 1 \
            or rows < len(ROWS) or _is_cut(content, begin, 4 * columns * rows):
        return None
    image = np.frombuffer(content, ">f4", columns * rows, begin).reshape(rows, columns)
    return list(image[:4])


def _table(content: bytes, begin: int) -> list[np.ndarray] | None:
    """Columns of the first row of a COADD table."""
    data = _data_begin(content, begin)
    kind = None if data is None else _row_type(content[begin:data])
    if data is None or kind is None or _is_cut(content, data, kind.itemsize):
        return None
    row = np.frombuffer(content, kind, 1, data)[0]
    return [np.atleast_1d(row[name]) for name in ROWS[:4]]


def _is_cut(content: bytes, begin: int, size: int) -> bool:
    """Whether data, which fill their last block, are not complete."""
    return len(content) < begin + -(-size // _BLOCK) * _BLOCK


@lru_cache(maxsize=256)
def _row_type(header: bytes) -> np.dtype | None:
    """Type of the row of a COADD table from its header, the same for all stars of a release."""
    cards = fits.Header.fromstring(header)
    names = set(cards)
    if str(cards.get("EXTNAME", "")).strip() != "COADD" or cards.get("XTENSION") != "BINTABLE" \
            or cards.get("NAXIS2") != 1 or cards.get("PCOUNT") != 0 \
            or any(name.startswith(("TSCAL", "TZERO", "TNULL", "TDIM")) for name in names):
        return None
    columns = []
    for number in range(1, int(cards.get("TFIELDS", 0)) + 1):
        form = _FORM.fullmatch(str(cards.get(f"TFORM{number}", "")).strip())
        if form is None:
            return None
        columns.append((str(cards.get(f"TTYPE{number}", number)).strip(), _KINDS[form[2]],
                        (int(form[1] or 1),)))
    kinds = {name: (kind, shape) for name, kind, shape in columns}
    if len(kinds) < len(columns) or len({kinds.get(name) for name in ROWS}) > 1 \
            or kinds.get(ROWS[0], ("",))[0] != _KINDS["E"]:
        return None
    found = np.dtype(columns)
    return found if found.itemsize == cards.get("NAXIS1") else None
