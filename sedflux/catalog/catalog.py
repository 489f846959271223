"""`SEDCatalog`: selections, photometry and spectra from a catalogue of predictions."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow.parquet
from astropy import units as u
from astropy.table import QTable, Table

from sedflux.catalog.bands import CatalogBands
from sedflux.catalog.destination import Destination, undamaged
from sedflux.catalog.limits import within
from sedflux.catalog.models import of_models, parts_of_models, shared_errors
from sedflux.catalog.photometry import measured_columns
from sedflux.catalog.products import offsets_of, photometry_of, rebinned, spectra_of
from sedflux.catalog.shard import DIAGNOSTICS, MORE_DIAGNOSTICS
from sedflux.catalog.stored import stored_arrays
from sedflux.exceptions import InputError
from sedflux.predict.checks import check_reddening
from sedflux.predict.flags import flag
from sedflux.predict.prediction import SEDPrediction, reddening_direction

__all__ = ["SEDCatalog"]

#: Stars that are read at once.
_CHUNK = 512
#: Columns of every table.
_NEEDED = {"identifier", "path", "ra", "dec", "radial_velocity", "predicted", "flag_bits", "error",
           *DIAGNOSTICS}


class SEDCatalog:
    """
    A catalogue from `sedflux.predict_catalog`, or a selection of its stars.

    Columns and arrays are read when they are needed, and arrays in chunks.

    Parameters
    ----------
    path : path-like
    rows : array_like of int, optional
        Rows of a selection, ascending; all stars if not given.
    dust : pair of array_like, optional
        E(B-V) and its error of every row, from `reddened`.

    Attributes
    ----------
    path : `~pathlib.Path`
    facts : dict
        Entries of ``catalog.json``: model, bands, wavelengths and sizes.
    wavelength : `~numpy.ndarray`, shape (n,)
        In Angstrom.
    rows : `~numpy.ndarray` of int, shape (N,)
    dust : pair of `~numpy.ndarray`, shape (N,), or None

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

    def __init__(self, path: str | os.PathLike[str], rows: Any = None, *, dust: Any = None
                 ) -> None:
        self._folder = Destination(path)
        self.facts = self._folder.facts
        self.path = self._folder.path
        table = self.path / "table.parquet"
        if not table.exists():
            landed = len(self._folder.notes())
            raise InputError(f"catalogue {str(self.path)!r} is not complete: {landed} of "
                             f"{self._folder.shard_count()} shards have landed; run the same "
                             "prediction again to finish it")
        self.wavelength = np.asarray(self.facts["wavelength"])
        self.rows = np.arange(self.facts["stars"]) if rows is None else np.asarray(rows)
        self.dust = dust

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
        Some columns of the table of the selected stars; the others are not read.

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
            ``"none"`` keeps stars without a flag; names joined by commas, such as
            ``"low_snr,bad_pixels"``, keep stars without any other flag.
        **limits : tuple of float, bool, or array_like
            By the name of a column: the least and the largest value (None for no limit), one
            value, or a list of values; numbers in the unit of the column, or quantities.  Stars
            without a prediction are left out unless ``predicted=False`` is given.

        Returns
        -------
        catalog : `SEDCatalog`
        """
        conditions = {"predicted": True} | limits
        table = self.columns(*conditions, *(() if flags is None else ("flag_bits",)))
        keep = np.ones(len(self), dtype=bool)
        for name, limit in conditions.items():
            keep &= within(table[name], limit, name)
        if flags is not None:
            allowed = 0 if flags == "none" else sum(
                flag(name.strip()).mask for name in flags.split(","))
            keep &= (np.asarray(table["flag_bits"]) & ~allowed) == 0
        return self._some(keep)

    def _some(self, places):
        """Some of these stars."""
        dust = None if self.dust is None else tuple(value[places] for value in self.dust)
        return SEDCatalog(self.path, self.rows[places], dust=dust)

    def reddened(self, reddening: Any, *, reddening_error: Any = 0.0) -> SEDCatalog:
        """
        The same stars, reddened; the stored arrays and the table do not change.

        Parameters
        ----------
        reddening, reddening_error : float or array_like, shape (N,)
            E(B-V) and its error in mag, of all stars or of each.

        Returns
        -------
        catalog : `SEDCatalog`

        Raises
        ------
        sedflux.exceptions.InputError
            If E(B-V) cannot be used, or stars are behind dust already.
        """
        if self.dust is not None:
            raise InputError("these stars are reddened already; give the sum of E(B-V)")
        if self.facts["photometry"]:
            raise InputError("these stars are conditioned on photometry, and are behind the dust "
                             "that it asks for; predict a catalogue without photometry")
        if "reddening" in self._columns and np.nan_to_num(self.columns("reddening")["reddening"]
                                                           ).any():
            raise InputError("the source of the catalogue gave its stars E(B-V): they are reddened "
                             "already; predict them without, or select those that have none")
        dust = tuple(np.broadcast_to(np.asarray(value, dtype=float), len(self)).copy()
                     for value in check_reddening((reddening, reddening_error), len(self)))
        return SEDCatalog(self.path, self.rows, dust=dust)

    def chunks(self) -> Iterator[SEDPrediction]:
        """
        The predictions of the selected stars, in chunks.

        Yields
        ------
        prediction : `~sedflux.SEDPrediction`
            With a first axis for stars.
        """
        for begin in range(0, len(self), _CHUNK):
            yield self.predictions(slice(begin, begin + _CHUNK))

    def predictions(self, places: slice) -> SEDPrediction:
        """
        The predictions of some of the selected stars.

        Parameters
        ----------
        places : slice
            Of the selected stars.

        Returns
        -------
        prediction : `~sedflux.SEDPrediction`
            With a first axis for stars, in relative flux; NaN for stars without a prediction.
        """
        part = SEDCatalog(self.path, self.rows[places])
        more = [name for name in MORE_DIAGNOSTICS if name in self._columns]
        table = part.columns("predicted", "flag_bits", "radial_velocity", *DIAGNOSTICS, *more)
        names = part.columns("model")["model"] if "model" in self._columns else np.full(
            len(part), self.facts["model"])
        with undamaged(self.path, "spectra.zarr"):
            arrays = stored_arrays(self.path, self.facts, part.rows,
                                   np.asarray(table["predicted"], dtype=bool))
        bits = np.asarray(table["flag_bits"])
        with undamaged(self.path, "catalog.json"):
            flags, model, sha256 = of_models(np.asarray(names), bits, self.facts)
            parts = parts_of_models(np.asarray(names), arrays["factor"], self.facts)
        # SEDs of stars without E(B-V) in the source are intrinsic.
        known = {name: np.nan_to_num(np.asarray(part.columns(name)[name]))
                 for name in ("reddening", "reddening_error")
                 if name in self._columns and not self.facts["photometry"]}
        if "reddening_error" in known:
            parts["reddening"] = reddening_direction(self.wavelength, arrays["flux"],
                                                     known["reddening_error"])
        prediction = SEDPrediction(
            self.wavelength, arrays["flux"], arrays["diagonal"], arrays["factor"],
            flags, model, sha256,
            {name: np.asarray(table[name]) for name in (*DIAGNOSTICS, *more)},
            flag_bits=bits, radial_velocity=np.asarray(table["radial_velocity"]), parts=parts,
            library_error=shared_errors(self.facts), **known)
        if self.dust is None:
            return prediction
        return prediction.reddened(self.dust[0][places], reddening_error=self.dust[1][places])

    @cached_property
    def _places(self) -> dict[str, int]:
        """Index of each selected star by its identifier."""
        return {name: place for place, name in enumerate(self.columns("identifier")["identifier"])}

    def __getitem__(self, identifier: str) -> Any:
        """The SED of a star as `sedflux.predict_sed` gives it; with magnitudes, see `spectra`."""
        if not isinstance(identifier, str):
            raise InputError(f"identifier is {identifier!r}; give the name of a star, or go "
                             "through all of them with spectra() or chunks()")
        if identifier not in self._places:
            raise InputError(f"star {identifier!r} is not among the {len(self)} of this selection")
        place = self._places[identifier]
        if not self.columns("predicted")["predicted"][place]:
            reason = self.columns("error")["error"][place]
            raise InputError(f"star {identifier!r} could not be predicted: {reason}")
        return next(self._some(slice(place, place + 1)).spectra())

    @cached_property
    def bands(self) -> CatalogBands:
        """The bands of the catalogue, as rows on its wavelengths."""
        with undamaged(self.path, "catalog.json"):
            return CatalogBands.from_tables(self.wavelength, self.facts["bands"])

    @cached_property
    def magnitudes(self) -> Table | None:
        """Table of ``magnitude``, ``magnitude_error`` and ``band``, if the source gave them."""
        names = ("magnitude", "magnitude_error", "band")
        return self.columns(*names) if "magnitude" in self._columns else None

    @cached_property
    def measured(self) -> Table | None:
        """
        Table of the magnitudes that condition the SEDs, and of what was known of E(B-V) before.

        None for catalogues without ``photometry``.
        """
        if not self.facts["photometry"]:
            return None
        names = [name for band in self.facts["photometry"] for name in measured_columns(band)]
        return self.columns(*names, *(name for name in ("reddening", "reddening_error")
                                      if name in self._columns))

    def spectra(self) -> Iterator[Any]:
        """
        The SEDs of the selected stars, one by one, for example for `sedflux.fit_responses`.

        They are on an absolute scale where a star has a magnitude, by `sedflux.anchor`, or by
        `sedflux.condition` if the catalogue was made with ``photometry``.
        """
        return spectra_of(self)

    def photometry(self, bandpasses: Any) -> QTable:
        """
        Colours of all selected stars, and magnitudes of those with a magnitude, with errors.

        Parameters
        ----------
        bandpasses : dict of `synphot.SpectralElement`
            Bands inside the range of the SEDs; two or more if no star has a magnitude.

        Returns
        -------
        table : `~astropy.table.QTable`
            ``identifier``, and for every band but the first the AB colour relative to the first,
            as ``g-r``, with its error ``g-r_error``, in mag; NaN where no SED was predicted.  If
            the source gave magnitudes, also ``g`` and ``g_error``, in mag(AB); NaN for
            stars without one, or with too few.
        """
        return photometry_of(self, bandpasses)

    def photometric_offsets(self, *, width: float = 0.1) -> QTable:
        """
        Zero points of the catalogue's ``photometry``, as by `sedflux.photometric_offsets`.

        Parameters
        ----------
        width : float, optional
            Standard deviation of the prior of the offsets, in mag.

        Returns
        -------
        table : `~astropy.table.QTable`
            ``meta["weights"]`` is NaN for stars without a prediction or magnitudes.
        """
        return offsets_of(self, width)

    def rebin(self, wavelengths: u.Quantity) -> tuple[np.ndarray, np.ndarray]:
        """
        Flux of all selected stars, averaged over other pixels, and its error.

        Parameters
        ----------
        wavelengths : `~astropy.units.Quantity`, shape (m,)
            Ascending pixel centres inside the range of the SEDs.

        Returns
        -------
        flux, sigma : `~numpy.ndarray`, shape (N, m)
            Relative flux; NaN where no SED was predicted.
        """
        return rebinned(self, wavelengths)

    def write(self, destination: str | os.PathLike[str]) -> SEDCatalog:
        """
        Write the selected stars, with their dust, as a new catalogue.

        The same call resumes an interrupted one.

        Parameters
        ----------
        destination : path-like
            A new folder.

        Returns
        -------
        catalog : `SEDCatalog`
            The new catalogue.
        """
        from sedflux.catalog.copying import write_selection

        write_selection(self, destination)
        return SEDCatalog(destination)

    def verify(self) -> None:
        """
        Compare all files with their checksums.

        Raises
        ------
        sedflux.exceptions.InputError
            If shards are damaged.
        """
        if wrong := self._folder.verify():
            raise InputError(f"shards {wrong[:10]} of {str(self.path)!r} are damaged; delete their "
                             "notes in the folder 'landed' and run the prediction again")
