"""
Addresses of files in the public archive of spectral libraries.

BOSZ 2017 (Bohlin et al. 2017) and BOSZ 2024 (Meszaros et al. 2024) name their files by
fixed rules, so that a choice of labels gives addresses.  Users name CALSPEC and NGSL files
themselves.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sedflux.exceptions import InputError
from sedflux.libraries.labels import TEFF_EDGES
from sedflux.units import positive_number

__all__ = ["ARCHIVES", "ArchiveFile", "list_files", "parse_selection"]

#: Address of each library at MAST, the archive of the STScI.
ARCHIVES = {
    "bosz2017": "https://archive.stsci.edu/missions/hlsp/bosz/fits",
    "bosz2024": "https://archive.stsci.edu/hlsps/bosz/bosz2024",
    "calspec": "https://archive.stsci.edu/hlsps/reference-atlases/cdbs/current_calspec",
    "ngsl": "https://archive.stsci.edu/missions/hlsp/stisngsl/v2",
}
#: Lowest LOGG of BOSZ 2017 from each temperature on (Bohlin et al. 2017).
_LOGG_2017 = ((0, 0.0), (6250, 1.0), (8250, 2.0), (12500, 3.0), (31000, 3.5))
#: Labels that are selected by default: the range of the packaged models.
DEFAULTS = {"TEFF": (TEFF_EDGES[0], TEFF_EDGES[-1]), "LOGG": (0.0, 5.0), "MH": (-2.5, 0.5),
            "ALPHA": (0.0, 0.0), "CARBON": (0.0, 0.0), "VMICRO": (2.0, 2.0)}
#: A folder or file: it never leads out of the folder that it is in.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


@dataclass(frozen=True)
class ArchiveFile:
    """
    One file of an archive.

    Attributes
    ----------
    path : str
        Below the archive's address.
    labels : tuple of float
        TEFF, LOGG, MH, ALPHA, CARBON, VMICRO of a model; empty for other files.

    Raises
    ------
    sedflux.exceptions.InputError
        If a part of the path is no plain name, such as ``..``.
    """

    path: str
    labels: tuple[float, ...] = ()

    def __post_init__(self):
        if not all(_NAME.fullmatch(part) for part in self.path.split("/")):
            raise InputError(f"path {self.path!r} is not allowed; folders and names have letters, "
                             "digits and any of . _ + -, and begin with a letter or digit")

    @property
    def filename(self) -> str:
        """Name without folders."""
        return self.path.rsplit("/", 1)[-1]


def parse_selection(terms: Sequence[str]) -> dict[str, tuple[float, float]]:
    """
    Ranges of labels from texts such as ``TEFF=5000:6000`` and ``MH=0``.

    Parameters
    ----------
    terms : sequence of str

    Returns
    -------
    ranges : dict of str to tuple of float

    Examples
    --------
    >>> from sedflux.libraries.archive import parse_selection
    >>> parse_selection(["TEFF=5000:6000", "MH=0"])["MH"]
    (0.0, 0.0)
    """
    ranges = dict(DEFAULTS)
    for term in terms:
        name, _, values = term.partition("=")
        try:
            low, _, high = values.partition(":")
            pair = float(low), float(high or low)
        except ValueError:
            pair = (1.0, 0.0)
        if name not in DEFAULTS or pair[0] > pair[1]:
            raise InputError(f"selection {term!r} is not understood; give LABEL=LOW:HIGH or "
                             f"LABEL=VALUE, with a LABEL of {', '.join(DEFAULTS)}")
        ranges[name] = pair
    return ranges


def _steps(limits, values):
    """The values within two limits."""
    (low, high), values = limits, np.asarray(values, dtype=float)
    return [float(value) for value in values[(values >= low - 1e-6) & (values <= high + 1e-6)]]


def _code(value):
    """A metallicity as BOSZ 2017 writes it: m13 for -1.25 (rounded away from zero)."""
    return f"{'m' if value < 0 else 'p'}{int(np.floor(abs(value) * 10 + 0.5)):02d}"


def _bosz2017(ranges, power):
    teff = np.r_[np.arange(3500, 12001, 250), np.arange(12500, 20001, 500),
                 np.arange(21000, 35001, 1000)]
    grid = np.arange(-0.25, 0.51, 0.25)
    for mh in _steps(ranges["MH"], np.arange(-2.5, 0.51, 0.25)):
        for carbon in _steps(ranges["CARBON"], np.arange(-0.75, 0.51, 0.25)):
            for alpha in _steps(ranges["ALPHA"], grid):
                folder = (f"insbroad_{power:06d}/metal_{mh:+.2f}/carbon_{carbon:+.2f}/"
                          f"alpha_{alpha:+.2f}")
                for t in _steps(ranges["TEFF"], teff):
                    lowest = max(value for edge, value in _LOGG_2017 if t >= edge)
                    for g in _steps(ranges["LOGG"], np.arange(lowest, 5.01, 0.5)):
                        name = (f"am{_code(mh)}c{_code(carbon)}o{_code(alpha)}t{t:.0f}"
                                f"g{10 * g:02.0f}v20modrt0b{power}rs.fits")
                        yield ArchiveFile(f"{folder}/{name}", (t, g, mh, alpha, carbon, 2.0))


def _bosz2024(ranges, power):
    teff = np.r_[np.arange(2800, 4000, 100), np.arange(4000, 12001, 250),
                 np.arange(12500, 16001, 500)]
    yield ArchiveFile(f"wavelength_grids/bosz2024_wave_r{power}.txt")
    for mh in _steps(ranges["MH"], np.arange(-2.5, 0.76, 0.25)):
        for alpha in _steps(ranges["ALPHA"], np.arange(-0.25, 0.51, 0.25)):
            for carbon in _steps(ranges["CARBON"], np.arange(-0.75, 0.51, 0.25)):
                for micro in _steps(ranges["VMICRO"], [0, 1, 2, 4]):
                    for t in _steps(ranges["TEFF"], teff):
                        yield from _bosz2024_gravities(ranges, power, t, mh, alpha, carbon, micro)


def _bosz2024_gravities(ranges, power, t, mh, alpha, carbon, micro):
    """ATLAS9 above 8000 K; MARCS below, spherical for giants."""
    lowest = -0.5 if t <= 6000 else 1.0 if t <= 8000 else 2.0 if t <= 12000 else 3.0
    highest = 5.5 if t <= 8000 else 5.0
    for g in _steps(ranges["LOGG"], np.arange(lowest, highest + 0.01, 0.5)):
        kind = "ap" if t > 8000 else "mp" if g >= 3.5 else "ms"
        name = (f"bosz2024_{kind}_t{t:.0f}_g{g:+.1f}_m{mh:+.2f}_a{alpha:+.2f}_c{carbon:+.2f}"
                f"_v{micro:.0f}_r{power}_resam.txt.gz")
        yield ArchiveFile(f"r{power}/m{mh:+.2f}/{name}", (t, g, mh, alpha, carbon, micro))


def list_files(name: str, *, select: Sequence[str] = (), files: Sequence[str] = (),
               resolving_power: int = 5000) -> list[ArchiveFile]:
    """
    Files of an archive that a selection asks for.

    Parameters
    ----------
    name : str
        One of `ARCHIVES`.
    select : sequence of str, optional
        Ranges of labels, for BOSZ; see `parse_selection`.
    files : sequence of str, optional
        Names of files, for CALSPEC and NGSL.
    resolving_power : int, optional
        Of the BOSZ files.

    Returns
    -------
    files : list of `ArchiveFile`

    Raises
    ------
    sedflux.exceptions.InputError
        If the archive is unknown, a name has folders, or nothing is selected.

    Examples
    --------
    >>> from sedflux.libraries.archive import list_files
    >>> list_files("bosz2017", select=["TEFF=5000", "LOGG=4.5", "MH=-1.25"])[0].filename
    'amm13cp00op00t5000g45v20modrt0b5000rs.fits'
    """
    if name not in ARCHIVES:
        raise InputError(f"archive {name!r} is not known; choose one of {', '.join(ARCHIVES)}")
    power = positive_number(resolving_power, "resolving_power")
    if power != int(power):
        raise InputError(f"resolving_power is {resolving_power}; a whole number is needed")
    if name in ("bosz2017", "bosz2024"):
        rule = _bosz2017 if name == "bosz2017" else _bosz2024
        found = list(rule(parse_selection(select), int(power)))
    else:
        found = [_named_file(name, str(file)) for file in files]
        if not found:
            raise InputError(f"no files of {name} are named; give their names, such as those "
                             f"listed at {ARCHIVES[name]}")
        return found
    if not any(file.labels for file in found):
        raise InputError(f"no model of {name} is in the selection {list(select)}; widen it")
    return found


def _named_file(archive, name):
    """A file that the user named."""
    if "/" in name:
        raise InputError(f"file name {name!r} of {archive} has folders; give the name alone")
    return ArchiveFile(name)
