"""Several responses in one file: those of all bands, detectors and orders of an instrument."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from astropy.io import fits
from astropy.table import Table

from sedflux.exceptions import InputError
from sedflux.io.checked_fits import (
    LAYOUT,
    check_hdus,
    describe_columns,
    open_checked,
    write_checked,
)
from sedflux.response.curve import ResponseCurve
from sedflux.response.files import READ_ERRORS, response_hdus, response_of_hdus

__all__ = ["read_responses", "write_responses"]

#: Version of the layout.
_VERSION = "sedflux-responses-1"
_INDEX_COLUMNS = {"NAME": ("band, detector and order of the response", "meta.id"),
                  "PREFIX": ("start of the names of its extensions", "meta.id")}


def write_responses(responses: Mapping[str, ResponseCurve], path: str | os.PathLike[str], *,
                    overwrite: bool = False) -> None:
    """
    Write several responses into one FITS file.

    Parameters
    ----------
    responses : mapping of str to `~sedflux.ResponseCurve`
        By a name that says band, detector and order, such as ``GV 07 +1``.
    path : path-like
    overwrite : bool, optional

    Raises
    ------
    sedflux.exceptions.InputError
        If there is no response, or the file exists.

    Examples
    --------
    >>> import tempfile
    >>> from astropy import units as u
    >>> from sedflux import ResponseCurve, get_instrument
    >>> from sedflux.response.sets import read_responses, write_responses
    >>> band = get_instrument("lookalike").bands["GV"]
    >>> curve = ResponseCurve.from_throughput(band.throughput, area=band.area)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_responses({"GV 07 +1": curve}, f"{folder}/responses.fits")
    ...     print(list(read_responses(f"{folder}/responses.fits")))
    ['GV 07 +1']
    """
    if not isinstance(responses, Mapping) or not responses or not all(
            isinstance(name, str) and name.isascii() and name.strip() and
            isinstance(one, ResponseCurve) for name, one in responses.items()):
        raise InputError("responses must be a mapping from names (ASCII) to ResponseCurve, with "
                         "one or more entries")
    prefixes = [f"R{number}_" for number in range(1, len(responses) + 1)]
    index = fits.BinTableHDU(Table({"NAME": list(responses), "PREFIX": prefixes}),
                             name="RESPONSES")
    describe_columns(index, _INDEX_COLUMNS)
    hdus = [fits.PrimaryHDU(), index]
    for prefix, response in zip(prefixes, responses.values(), strict=True):
        for hdu in response_hdus(response)[1:]:
            hdu.name = prefix + hdu.name
            hdus.append(hdu)
    write_checked(path, hdus, layout=_VERSION, overwrite=overwrite)


def read_responses(path: str | os.PathLike[str]) -> dict[str, ResponseCurve]:
    """
    Read the responses of one file.

    Parameters
    ----------
    path : path-like
        From `write_responses`.

    Returns
    -------
    responses : dict of str to `~sedflux.ResponseCurve`

    Raises
    ------
    sedflux.exceptions.InputError
        If the file does not exist, is damaged, or is another one.

    Examples
    --------
    >>> import tempfile
    >>> from astropy import units as u
    >>> from sedflux import ResponseCurve, get_instrument
    >>> from sedflux.response.sets import read_responses, write_responses
    >>> band = get_instrument("lookalike").bands["GV"]
    >>> curve = ResponseCurve.from_throughput(band.throughput, area=band.area)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_responses({"GV 07 +1": curve}, f"{folder}/responses.fits")
    ...     print(list(read_responses(f"{folder}/responses.fits")))
    ['GV 07 +1']
    """
    place = Path(path)
    if not place.is_file():
        raise InputError(f"file of responses {str(path)!r} does not exist")
    try:
        with open_checked(place) as hdus:
            if hdus[0].header.get(LAYOUT) != _VERSION:
                raise ValueError(f"its format is {hdus[0].header.get(LAYOUT)!r}")
            check_hdus(hdus)
            index = hdus["RESPONSES"].data
            return {str(name): response_of_hdus(_part(hdus, str(prefix)))
                    for name, prefix in zip(index["NAME"], index["PREFIX"], strict=True)}
    except READ_ERRORS as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{place.name} is no file of sedflux.response.sets.write_responses, or "
                         f"damaged ({reason}); write it again") from error


def _part(hdus, prefix):
    """Extensions of one response, by their names in a file of its own."""
    return {hdu.name[len(prefix):]: hdu for hdu in hdus if hdu.name.startswith(prefix)}
