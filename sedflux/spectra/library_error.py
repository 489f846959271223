"""The error that all SEDs of one model share, as a card of their headers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from sedflux.exceptions import InputError
from sedflux.spectra.spectrum import header_value

__all__ = ["LIBRARY_CARD", "library_error_of", "library_error_text"]

#: Card with pairs of wavelength (Angstrom) and relative error.
LIBRARY_CARD = "SEDLIBER"


def library_error_text(pairs: Sequence[Sequence[float]]) -> str:
    """
    Pairs as the text of a card.

    Parameters
    ----------
    pairs : sequence of pairs
        Wavelength (Angstrom) and relative error.

    Returns
    -------
    text : str

    Examples
    --------
    >>> from sedflux.spectra.library_error import library_error_text
    >>> library_error_text([(2625.0, 0.045), (2875.0, 0.04)])
    '2625:0.045 2875:0.04'
    """
    return " ".join(f"{wavelength:g}:{error:.4g}" for wavelength, error in pairs)


def library_error_of(sed: Any) -> tuple[tuple[float, float], ...] | None:
    """
    The error that an SED shares with all others of its model.

    Parameters
    ----------
    sed : `~specutils.Spectrum`

    Returns
    -------
    pairs : tuple of pairs, or None
        Wavelength (Angstrom) and relative error; None where the header does not say it.

    Raises
    ------
    sedflux.exceptions.InputError
        If the card holds anything else.
    """
    text = header_value(sed, LIBRARY_CARD)
    return None if text is None else _pairs_of(str(text))


@lru_cache(maxsize=16)
def _pairs_of(text):
    """Pairs from the text of a card, which all stars of a model share."""
    try:
        pairs = np.array([[float(number) for number in pair.split(":")]
                          for pair in text.split()]).reshape(-1, 2)
        if not (np.isfinite(pairs).all() and (pairs >= 0).all()
                and (np.diff(pairs[:, 0]) > 0).all()):
            raise ValueError
    except ValueError as error:
        raise InputError(f"the card {LIBRARY_CARD} of the SED is {text[:80]!r}; pairs such as "
                         "'3000:0.03 4000:0.01', ascending, are needed: remove it, or predict the "
                         "SED again") from error
    return tuple((wavelength, error) for wavelength, error in pairs.tolist())
