"""
Files that describe an instrument: JSON or YAML.

A file holds what ``data/instruments.json`` holds of one instrument::

    title: my prism
    area_cm2: 45238.9
    size: [1014, 1014]
    read_noise: 12.0
    bands:
      P1:
        range: [8000, 11500]
        fwhm: 48.0
        dispersion: [7800.0, 24.5]
        pixels: 160
        throughput: p1.fits

Wavelengths are in Angstrom.  ``resolving_power`` may replace ``fwhm``: one number, or pairs of
wavelength and resolving power.  Paths of throughputs are relative to the file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from sedflux.exceptions import InputError
from sedflux.slitless.forward import SecondOrder
from sedflux.slitless.instrument import (
    SlitlessBand,
    SlitlessInstrument,
    described_instrument,
    get_instrument,
)
from sedflux.slitless.throughput import read_throughput

__all__ = ["bands_with_throughput", "find_instrument", "read_instrument"]

#: Endings of files that describe an instrument.
_ENDINGS = (".json", ".yaml", ".yml")
#: Optional entries of an instrument, and their defaults.
_DEFAULTS = {"title": "", "note": "", "sources": {}, "read_noise": 0.0, "dark": 0.0, "sky": 0.0,
             "height": 1.0, "size": (4096.0, 4096.0)}
_NEEDED = ("area_cm2", "bands")
#: Entries that every band needs, and all entries of bands.
_BAND_NEEDED = ("range", "dispersion", "pixels")
_BAND_ENTRIES = (*_BAND_NEEDED, "fwhm", "resolving_power", "throughput", "second_order")


def read_instrument(path: str | os.PathLike[str]) -> SlitlessInstrument:
    """
    Read an instrument from a file that describes it.

    Parameters
    ----------
    path : path-like
        Ending in ``.json``, ``.yaml`` or ``.yml``; see the layout above.

    Returns
    -------
    instrument : `~sedflux.slitless.instrument.SlitlessInstrument`
        With the throughputs named in the file.

    Raises
    ------
    sedflux.exceptions.InputError
        If the file cannot be read, or an entry is missing, unknown or wrong.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sedflux.slitless.instrument_files import read_instrument
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "prism.yaml")
    ...     _ = path.write_text("{area_cm2: 45238.9, bands: {P1: {range: [8000, 10400], fwhm: 48, "
    ...                         "dispersion: [7800, 24.5], pixels: 110}}}")
    ...     instrument = read_instrument(path)
    >>> instrument.bands["P1"].pixels
    110
    """
    place = Path(path)
    known = _content(place)
    _check_entries(known, _NEEDED, (*_NEEDED, *_DEFAULTS), place.name)
    bands = known["bands"]
    if not isinstance(bands, Mapping) or not bands:
        raise InputError(f"{place.name}: bands is {bands!r:.60}; a mapping from names to bands is "
                         "needed")
    for name, band in bands.items():
        label = f"{place.name}: band {name!r}"
        _check_entries(band, _BAND_NEEDED, _BAND_ENTRIES, label)
        if ("fwhm" in band) == ("resolving_power" in band):
            raise InputError(f"{label} needs either fwhm or resolving_power")
    try:
        instrument = described_instrument(place.stem, _DEFAULTS | dict(known))
    except InputError as error:
        raise InputError(f"{place.name}: {error}") from error
    except (TypeError, ValueError) as error:
        raise InputError(f"{place.name}: a number is missing or of the wrong type ({error}); see "
                         "sedflux.slitless.instrument_files for the layout") from error
    return _with_files(instrument, bands, place.parent)


def find_instrument(name: str) -> SlitlessInstrument:
    """
    An instrument by its name, or from a file that describes it.

    Parameters
    ----------
    name : str
        One of `list_instruments`, or a file that `read_instrument` reads.

    Returns
    -------
    instrument : `SlitlessInstrument`
    """
    return read_instrument(name) if name.endswith(_ENDINGS) else get_instrument(name)


def bands_with_throughput(name: str, files: Mapping[str, str | os.PathLike[str]]
                          ) -> dict[str, SlitlessBand]:
    """
    Bands of an instrument that have a throughput.

    Parameters
    ----------
    name : str
        One of `list_instruments`, or a file that `read_instrument` reads.
    files : mapping of str to path-like
        Files of throughputs by band; they replace those of the instrument.

    Returns
    -------
    bands : dict of str to `SlitlessBand`

    Raises
    ------
    sedflux.exceptions.InputError
        If a band or a file cannot be used, or no band has a throughput.
    """
    instrument = find_instrument(name).with_throughputs(files)
    bands = {key: band for key, band in instrument.bands.items() if band.throughput is not None}
    if not bands:
        raise InputError(f"{name} has no throughputs; give --throughput BAND=FILE")
    return bands


def _content(place):
    """Read the mapping in a file."""
    try:
        text = place.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise InputError(f"instrument file {str(place)!r} cannot be read ({reason}); give a JSON "
                         "or YAML file") from error
    try:
        known = json.loads(text) if place.suffix == ".json" else yaml.safe_load(text)
    except (json.JSONDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{place.name} is damaged ({' '.join(str(error).split())[:120]}); it "
                         "must hold one JSON or YAML mapping") from error
    return known


def _check_entries(known: Any, needed: tuple[str, ...], allowed: tuple[str, ...],
                   label: str) -> None:
    """Refuse descriptions that lack an entry or have an unknown one."""
    if not isinstance(known, Mapping):
        raise InputError(f"{label} is a {type(known).__name__}; a mapping with "
                         f"{', '.join(needed)} is needed")
    missing = [name for name in needed if name not in known]
    unknown = [str(name) for name in known if name not in allowed]
    if missing or unknown:
        what = f"lacks {missing[0]!r}" if missing else f"has the unknown entry {unknown[0]!r}"
        raise InputError(f"{label} {what}; {', '.join(allowed)} are allowed, of which "
                         f"{', '.join(needed)} are needed")


def _with_files(instrument, bands, folder):
    """The instrument with the throughputs and second orders named in its file."""
    found = dict(instrument.bands)
    for name, band in bands.items():
        if "throughput" in band:
            found[name] = found[name].with_throughput(folder / str(band["throughput"]))
        if "second_order" in band:
            second = band["second_order"]
            label = f"second_order of band {name!r}"
            _check_entries(second, ("throughput",), ("throughput", "ratio"), label)
            curve = read_throughput(folder / str(second["throughput"]), area=found[name].area)
            found[name] = replace(found[name], second_order=SecondOrder(
                curve.wavelength, curve.value, second.get("ratio", 0.5)))
    return replace(instrument, bands=found)
