"""Work on a catalogue of predictions without loops over its stars."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow.parquet
import zarr
from astropy import units as u
from astropy.table import QTable, Table

from sedflux.catalog.destination import Destination, undamaged
from sedflux.catalog.shard import DIAGNOSTICS
from sedflux.exceptions import InputError
from sedflux.photometry import band_rows
from sedflux.predict.flags import flag, sentences
from sedflux.predict.prediction import SEDPrediction

__all__ = ["SEDCatalog"]

#: Stars that are read at a time.
_CHUNK = 512
_MAG_PER_LN = 2.5 / np.log(10.0)
#: Columns of every table.
_NEEDED = {"identifier", "path", "ra", "dec", "radial_velocity", "predicted", "flag_bits", "error",
           *DIAGNOSTICS}


class SEDCatalog:
    """
    A catalogue that `sedflux.predict_catalog` wrote, or a selection of it.

    Nothing is read before it is needed; arrays are read by chunks.

    Parameters
    ----------
    path : path-like
    rows : array_like of int, optional
        Rows of a selection, ascending; all stars if not given.

    Raises
    ------
    sedflux.exceptions.InputError
        If the folder holds no catalogue, or one that is not complete.

    Examples
    --------
    >>> import tempfile
    >>> from sedflux import SEDCatalog, predict_catalog
    >>> from sedflux.demo import demo_path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = [demo_path("16cygb_miles"), demo_path("bd17_stis")]
    ...     summary = predict_catalog(files, f"{folder}/catalog", workers=1)
    ...     catalog = SEDCatalog(f"{folder}/catalog").select(teff=(5000, 6000))
    ...     sed = catalog["16cygb_miles"]
    >>> len(catalog), sed.flux.shape
    (1, (575,))
    """

    def __init__(self, path: str | os.PathLike[str], rows: Any = None) -> None:
        self._place = Destination(path)
        self.facts = self._place.facts
        self.path = self._place.path
        table = self.path / "table.parquet"
        if not table.exists():
            landed = len(self._place.notes())
            raise InputError(f"catalogue {str(self.path)!r} is not complete: {landed} of "
                             f"{self._place.shard_count()} shards have landed; run the same "
                             "prediction again to finish it")
        self.wavelength = np.asarray(self.facts["wavelength"])
        self.rows = np.arange(self.facts["stars"]) if rows is None else np.asarray(rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"<SEDCatalog {str(self.path)!r}: {len(self)} stars, {self.facts['model']}>"

    @cached_property
    def _columns(self) -> list[str]:
        with undamaged(self.path, "table.parquet"):
            found = pyarrow.parquet.ParquetFile(self.path / "table.parquet")
            if found.metadata.num_rows != self.facts["stars"]:
                raise ValueError(f"it has {found.metadata.num_rows} of {self.facts['stars']} rows")
            names = found.schema_arrow.names
            if missing := _NEEDED - set(names):
                raise ValueError(f"it lacks the column {min(missing)}")
        return names

    @cached_property
    def table(self) -> Table:
        """The table of the selected stars, with units."""
        return self.columns(*self._columns)

    def columns(self, *names: str) -> Table:
        """
        Some columns of the table of the selected stars, without reading the others.

        Parameters
        ----------
        *names : str

        Returns
        -------
        table : `~astropy.table.Table`
        """
        for name in names:
            if name not in self._columns:
                raise InputError(f"column {name!r} is unknown; choose from "
                                 f"{', '.join(self._columns)}")
        with undamaged(self.path, "table.parquet"):
            found = pyarrow.parquet.read_table(self.path / "table.parquet", columns=list(names))
            table = Table()
            for name in names:
                values = found.column(name).to_numpy()[self.rows]
                table[name] = values.astype(str) if values.dtype.kind == "O" else values
                unit = (found.schema.field(name).metadata or {}).get(b"unit")
                if unit:
                    table[name].unit = u.Unit(unit.decode())
        return table

    def select(self, *, flags: str | None = None, **limits: Any) -> SEDCatalog:
        """
        Select stars.

        Parameters
        ----------
        flags : {'none'} or str, optional
            ``"none"`` keeps stars without a flag; names joined by commas keep stars that have none
            but these, such as ``"low_snr,bad_pixels"``.
        **limits : tuple of float, bool, or array_like
            By the name of a column: the least and the largest value (None for no limit), a value
            that it must have, or a list of values.  Stars that could not be predicted are left
            out unless ``predicted=False`` asks for them.

        Returns
        -------
        catalog : `SEDCatalog`
        """
        conditions = {"predicted": True} | limits
        table = self.columns(*conditions, *(() if flags is None else ("flag_bits",)))
        keep = np.ones(len(self), dtype=bool)
        for name, limit in conditions.items():
            keep &= _within(np.asarray(table[name]), limit, name)
        if flags is not None:
            allowed = 0 if flags == "none" else sum(
                flag(name.strip()).mask for name in flags.split(","))
            keep &= (np.asarray(table["flag_bits"]) & ~allowed) == 0
        return SEDCatalog(self.path, self.rows[keep])

    def chunks(self) -> Iterator[SEDPrediction]:
        """
        The predictions of the selected stars, some at a time.

        Yields
        ------
        prediction : `~sedflux.SEDPrediction`
            With a first axis for stars.
        """
        for begin in range(0, len(self), _CHUNK):
            yield self._prediction(slice(begin, begin + _CHUNK))

    def _prediction(self, places: slice) -> SEDPrediction:
        rows = self.rows[places]
        part = SEDCatalog(self.path, rows)
        table = part.columns("predicted", "flag_bits", "radial_velocity", *DIAGNOSTICS)
        with undamaged(self.path, "spectra.zarr"):
            arrays = self._arrays(rows, np.asarray(table["predicted"], dtype=bool))
        bits = np.asarray(table["flag_bits"])
        # Stars of the source without E(B-V) are intrinsic.
        dust = {name: np.nan_to_num(np.asarray(part.columns(name)[name]))
                for name in ("reddening", "reddening_error") if name in self._columns}
        return SEDPrediction(
            self.wavelength, arrays["flux"], arrays["diagonal"], arrays["factor"],
            sentences(bits, {"teff": self.facts["teff"]}), self.facts["model"],
            self.facts["sha256"], {name: np.asarray(table[name]) for name in DIAGNOSTICS},
            flag_bits=bits, radial_velocity=np.asarray(table["radial_velocity"]), **dust)

    def _arrays(self, rows, predicted):
        """Flux, diagonal and factor of some stars; all finite where there is a prediction."""
        group: Any = zarr.open_group(os.fspath(self.path / "spectra.zarr"), mode="r")
        samples, found = self.wavelength.size, {}
        for name, shape in (("flux", (samples,)), ("diagonal", (samples,)),
                            ("factor", (self.facts["rank"], samples))):
            if group[name].shape != (self.facts["stars"], *shape):
                raise ValueError(f"{name} has the shape {group[name].shape}")
            found[name] = np.asarray(group[name].get_orthogonal_selection((rows,)), dtype=float)
            if not np.isfinite(found[name][predicted]).all():
                raise ValueError(f"{name} is not finite")
        if not (found["flux"][predicted] > 0).all() or (found["diagonal"][predicted] < 0).any():
            raise ValueError("flux or diagonal has values that are not positive")
        return found

    @cached_property
    def _places(self) -> dict[str, int]:
        """Place of each selected star by its identifier."""
        return {name: place for place, name in enumerate(self.columns("identifier")["identifier"])}

    def __getitem__(self, identifier: str) -> Any:
        """The SED of a star, as `sedflux.predict_sed` gives it."""
        if identifier not in self._places:
            raise InputError(f"star {identifier!r} is not among the {len(self)} of this selection")
        place = self._places[identifier]
        if not self.columns("predicted")["predicted"][place]:
            reason = self.columns("error")["error"][place]
            raise InputError(f"star {identifier!r} could not be predicted: {reason}")
        return next(SEDCatalog(self.path, self.rows[place:place + 1]).spectra())

    def spectra(self) -> Iterator[Any]:
        """The SEDs of the selected stars, one by one, such as for `sedflux.anchor`."""
        table = self.columns("identifier", "ra", "dec")
        cards = ({"OBJECT": (str(name)[:68], "star")} | {
            card: (float(place), "[deg] as in the source")
            for card, place in (("RA", ra), ("DEC", dec)) if np.isfinite(place)}
            for name, ra, dec in zip(*(table[column] for column in table.colnames), strict=True))
        for prediction in self.chunks():
            for row in range(len(prediction)):
                yield prediction[row].to_spectrum(header=next(cards))

    def photometry(self, bandpasses: Any) -> QTable:
        """
        Colours of all selected stars, with errors.

        Parameters
        ----------
        bandpasses : dict of `synphot.SpectralElement`
            Two or more bands inside the range of the SEDs.

        Returns
        -------
        table : `~astropy.table.QTable`
            ``identifier``, and for every band but the first the AB colour relative to the first,
            as ``g-r``, with its error ``g-r_error``, in mag; NaN where no SED was predicted.
        """
        names, rows = band_rows(self.wavelength, bandpasses)
        if len(names) < 2:
            raise InputError("bandpasses holds one band; SEDs of a catalogue are relative and have "
                             "colours: give two bands or more")
        values = [_colours(prediction, rows) for prediction in self.chunks()]
        colour, error = (np.concatenate([value[i] for value in values]) for i in (0, 1))
        table = QTable({"identifier": self.columns("identifier")["identifier"]})
        for number, name in enumerate(names[1:], start=1):
            table[f"{names[0]}-{name}"] = -colour[:, number] * u.mag
            table[f"{names[0]}-{name}_error"] = error[:, number] * u.mag
        return table

    def verify(self) -> None:
        """
        Compare all files with their checksums.

        Raises
        ------
        sedflux.exceptions.InputError
            If shards are damaged.
        """
        if wrong := self._place.verify():
            raise InputError(f"shards {wrong[:10]} of {str(self.path)!r} are damaged; delete their "
                             "notes in the folder 'landed' and run the prediction again")


def _colours(prediction, bands):
    """Magnitudes relative to the first band, and their errors, of N stars."""
    rows, zero_points = bands
    flux = prediction.flux @ rows.T
    magnitude = -2.5 * np.log10(flux) + zero_points
    # Shares of ln(flux) of each wavelength in a band, minus those in the first band.
    share = rows * prediction.flux[:, None, :] / flux[:, :, None]
    share = _MAG_PER_LN * (share - share[:, :1])
    common = np.einsum("nbw,nrw->nbr", share, prediction.factor)
    variance = (common**2).sum(axis=2) + np.einsum("nbw,nw->nb", share**2, prediction.diagonal)
    return magnitude - magnitude[:, :1], np.sqrt(variance)


def _within(values, limit, name):
    """Which values lie within limits, or are among those wanted."""
    if isinstance(limit, tuple):
        if len(limit) != 2:
            raise InputError(f"{name} is {limit!r}; give the least and the largest value")
        low, high = (np.inf * sign if value is None else value
                     for value, sign in zip(limit, (-1, 1), strict=True))
        return (values >= low) & (values <= high)
    return np.isin(values, np.atleast_1d(limit))

