"""
Joint fit of one response to the extracted spectra of many stars.

``ln T`` is a cubic B-spline whose smoothness is chosen by the evidence.  The counts of every
star are compared with the counts that its SED predicts through the line-spread function, by
generalised least squares with photon noise, the covariance of the SED, grey errors and
wavelength errors.  Outliers, both pixels and stars, get lower weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u

from sedflux.exceptions import InputError
from sedflux.network.blas import one_blas_thread
from sedflux.response.cluster import cluster_mapper
from sedflux.response.common_errors import CommonErrors
from sedflux.response.counts import saturation_rate
from sedflux.response.iterate import fit_stars
from sedflux.response.options import Options, excluded_stars, field_values, star_names
from sedflux.response.outliers import INCONSISTENT
from sedflux.response.stars import read_stars
from sedflux.response.systematics import LibraryError
from sedflux.slitless.forward import SecondOrder
from sedflux.slitless.instrument import SlitlessBand
from sedflux.slitless.line_spread import LineSpread
from sedflux.slitless.throughput import collecting_area

if TYPE_CHECKING:
    from specutils import Spectrum

    from sedflux.response.curve import ResponseCurve
    from sedflux.response.field_terms import FieldTerms

__all__ = ["fit_response", "fit_responses"]

#: Options that may differ from band to band.
_BAND_OPTIONS = ("knot_spacing", "grey_error", "wavelength_error", "common")


def fit_response(counts: Spectrum | Sequence[Spectrum], seds: Spectrum | Sequence[Spectrum], *,
                 area: u.Quantity | None = None, band: SlitlessBand | None = None,
                 line_spread: LineSpread | None = None, resolving_power: float | None = None,
                 second_order: SecondOrder | None = None, names: Sequence[str] | None = None,
                 stars: Mapping[str, Any] | None = None, field: FieldTerms | None = None,
                 knot_spacing: u.Quantity | float | None = Options.knot_spacing,
                 smoothness: float | None = Options.smoothness,
                 grey_error: float = Options.grey_error,
                 wavelength_error: u.Quantity | float = Options.wavelength_error,
                 robust: bool = Options.robust, truth_scale: float = Options.truth_scale,
                 library_error: LibraryError = Options.library_error,
                 min_stars: float = Options.min_stars, saturation: u.Quantity | None = None,
                 sed_resolving_power: float | None = Options.sed_resolving_power,
                 covariance: str = Options.covariance,
                 common: CommonErrors = Options.common,
                 exclude: Mapping[str, str] | None = None, client: Any = None) -> ResponseCurve:
    """
    Fit one response curve to the extracted spectra of one or many stars.

    Parameters
    ----------
    counts : sequence of `~specutils.Spectrum`
        Extracted spectra in electron/s per pixel, each on its own pixel grid; one star
        may be given without a list.  Pixels that are masked, not finite or saturated are left
        out.
    seds : sequence of `~specutils.Spectrum`
        SEDs of the same stars in absolute flux (see `sedflux.anchor`), with their
        covariance.  Pixels beyond them are left out.
    area : `~astropy.units.Quantity`, optional
        Collecting area; by default that of ``band``.
    band : `~sedflux.SlitlessBand`, optional
        With its area, range of wavelengths, line-spread function and second order.
    line_spread : `~sedflux.LineSpread`, optional
        By default that of ``band``; no broadening without both.
    resolving_power : float, optional
        lambda / FWHM of a Gaussian line-spread function, instead of ``line_spread``.
    second_order : `~sedflux.slitless.forward.SecondOrder`, optional
        Second-order light that is part of the counts; by default that of ``band``.
    names : sequence of str, optional
        Names of the stars; by default their numbers.
    stars : mapping, optional
        Arrays ``x``, ``y``, ``detector``, ``epoch`` of the stars, for ``field`` and for the tests
        of `ResponseCurve.diagnostics`; ``x`` is along the dispersion, in pixels.
    field : `~sedflux.FieldTerms`, optional
        How the response may change with position, detector and time.
    knot_spacing : `~astropy.units.Quantity` or float, optional
        Distance of the spline's knots, a number in Angstrom; by default the FWHM of the
        line-spread function, or two pixels without one.
    smoothness : float, optional
        Standard deviation of the second differences of ln(response) from knot to knot; by
        default the value with the largest evidence.
    grey_error : float, optional
        Relative error of the scale of each star beside that of its SED, such as aperture
        losses.
    wavelength_error : `~astropy.units.Quantity` or float, optional
        Error of the wavelength zero point of each star: a number in Angstrom, or a Quantity, which
        may be in pixels.
    robust : bool, optional
        Reduce the weight of outliers, and reject stars that are inconsistent with their SEDs.
    truth_scale, library_error : optional
        Errors common to all stars; see `sedflux.response.systematics`.  By default the SEDs say
        the library error of their model.
    min_stars : float, optional
        Effective number of stars below which the response is masked; never more than
        half of the stars.
    saturation : `~astropy.units.Quantity`, optional
        Count rate from which a pixel is saturated.
    sed_resolving_power : float, optional
        lambda / FWHM to which the SEDs are broadened; by default the value that
        `sedflux.predict_sed` writes into its SEDs (200), and none for others.  Without a
        line-spread function the SEDs are taken to be as broad as the counts.
    covariance : {'full', 'diagonal'}, optional
        ``diagonal`` ignores the correlation of an SED's errors between wavelengths, for
        comparison: the errors of the response are then far too small.
    common : `~sedflux.response.CommonErrors`, optional
        Errors that all stars share: zero points of E(B-V) and of magnitudes, the law of
        extinction, wavelengths, line-spread function, background.
    exclude : mapping of str to str, optional
        Names of stars to leave out, and the reasons.
    client : `distributed.Client`, optional
        Of a Dask cluster that compares blocks of 256 stars with the response and sums their normal
        equations.  The response is the same to rounding.

    Returns
    -------
    response : `ResponseCurve`

    Raises
    ------
    sedflux.exceptions.InputError
        If counts and SEDs do not pair up, an option or unit is wrong, or no star can be
        used or is left.  Single stars that cannot be used are listed in ``response.stars``.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy import units as u
    >>> from sedflux import fit_response, get_instrument, simulate_field
    >>> band = get_instrument("lookalike").bands["GV"]
    >>> field = simulate_field({"GV": band}, size=12, seed=1)
    >>> response = fit_response(field.counts["GV"], field.seds, band=band, grey_error=0.01)
    >>> bool(np.all(response.throughput[response.good] < 0.5))
    True
    """
    counts, seds = _paired(counts, seds)
    area, line_spread, second_order = _optics(area, band, line_spread, resolving_power,
                                              second_order)
    options = Options(
        knot_spacing=knot_spacing, smoothness=smoothness, grey_error=grey_error,
        wavelength_error=wavelength_error, robust=robust, covariance=covariance,
        truth_scale=truth_scale, library_error=library_error, min_stars=min_stars,
        sed_resolving_power=sed_resolving_power, common=common)
    mapper = cluster_mapper(client)
    names = star_names(names, len(counts))
    terms = field_values(field, stars, len(counts))
    # Products of a few hundred stars are too small for several threads.
    with one_blas_thread():
        arrays = read_stars(
            counts, seds, area=collecting_area(area), names=names, line_spread=line_spread,
            second_order=second_order, sed_resolving_power=options.sed_resolving_power,
            wavelength_range=None if band is None else band.wavelength_range,
            saturation=saturation_rate(saturation), exclude=excluded_stars(exclude, names))
        arrays.place = _places(stars, len(counts), arrays.row)
        options = options.for_pixels(arrays.pixel_width).for_seds(arrays.library_error)
        return fit_stars(arrays, options, field=field, terms=terms[arrays.row], mapper=mapper,
                         fwhm=None if line_spread is None else line_spread.fwhm_at)


def _places(stars: Any, number: int, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Positions, times and detectors of the usable stars, as far as they are given."""
    found = {}
    for name, kind in (("x", float), ("y", float), ("epoch", float), ("detector", str)):
        try:
            found[name] = np.asarray(stars[name]).astype(kind)
        except (KeyError, TypeError, IndexError, ValueError):
            continue
        if found[name].shape != (number,):
            raise InputError(f"{name} of the stars has the shape {found[name].shape}; one value "
                             f"for each of {number} stars is needed")
    return {name: values[rows] for name, values in found.items()}


def _paired(counts: Any, seds: Any) -> tuple[list, list]:
    """Counts and SEDs as lists of one length."""
    counts = list(counts) if isinstance(counts, (list, tuple)) else [counts]
    seds = list(seds) if isinstance(seds, (list, tuple)) else [seds]
    if len(counts) != len(seds) or not counts:
        raise InputError(f"counts and seds have {len(counts)} and {len(seds)} entries; "
                         "one SED for every star is needed, and at least one star")
    return counts, seds


def _optics(area: Any, band: Any, line_spread: Any, resolving_power: Any, second_order: Any) \
        -> tuple[Any, LineSpread | None, SecondOrder | None]:
    """Collecting area, line-spread function and second order, from the band if not given."""
    for name, value, kind in (("band", band, SlitlessBand),
                              ("line_spread", line_spread, LineSpread),
                              ("second_order", second_order, SecondOrder)):
        if value is not None and not isinstance(value, kind):
            raise InputError(f"{name} is a {type(value).__name__}; a {kind.__name__} is needed")
    if line_spread is not None and resolving_power is not None:
        raise InputError(f"resolving_power is {resolving_power!r} and line_spread is given too; "
                         "give one of them")
    if band is not None:
        area = band.area if area is None else area
        line_spread = line_spread or band.line_spread
        second_order = second_order or band.second_order
    if resolving_power is not None:
        line_spread = LineSpread.from_resolving_power(resolving_power)
    if area is None:
        raise InputError("area is None and no band is given; give the collecting area, such as "
                         "31416 * u.cm**2")
    return area, line_spread, second_order


def fit_responses(counts: Mapping[str, Sequence[Spectrum | None]], seds: Sequence[Spectrum],
                  bands: Mapping[str, SlitlessBand], *, names: Sequence[str] | None = None,
                  **options: Any) -> dict[str, ResponseCurve]:
    """
    Fit the responses of several bands to the same stars.

    A star that is inconsistent with its SED in one band (variable, blended, wrong dust) is
    left out of all bands.  A spectrum that is contaminated in one band (an overlapping
    neighbour) is left out of that band only.

    Parameters
    ----------
    counts : mapping of str to sequence of `~specutils.Spectrum`
        Extracted spectra of the same stars in each band; None for a star without a spectrum.
    seds : sequence of `~specutils.Spectrum`
    bands : mapping of str to `~sedflux.SlitlessBand`
    names : sequence of str, optional
        Names of the stars; by default their numbers.
    **options
        Of `fit_response`, for all bands; ``knot_spacing``, ``grey_error``, ``wavelength_error`` and
        ``common`` may be mappings with one value a band.

    Returns
    -------
    responses : dict of str to `ResponseCurve`

    Raises
    ------
    sedflux.exceptions.InputError
        As `fit_response` does.

    Examples
    --------
    >>> from sedflux import fit_responses, get_instrument, simulate_field
    >>> bands = get_instrument("lookalike").bands
    >>> bands = {name: bands[name] for name in ("GV", "GI")}
    >>> field = simulate_field(bands, size=8, seed=1, outliers=0.0)
    >>> responses = fit_responses(field.counts, field.seds, bands, grey_error=0.01,
    ...                           wavelength_error={"GV": 0.5, "GI": 1.0})
    >>> list(responses)
    ['GV', 'GI']
    """
    _check_bands(counts, seds, bands)
    _check_band_options(options, counts)
    names = star_names(names, len(seds))
    stars = options.pop("stars", None)
    excluded = excluded_stars(options.pop("exclude", None), names)

    def fit(band, exclude):
        rows = [row for row, one in enumerate(counts[band]) if one is not None]
        here = [names[row] for row in rows]
        return fit_response([counts[band][row] for row in rows], [seds[row] for row in rows],
                            band=bands[band], names=here, stars=_some_stars(stars, rows),
                            exclude={name: exclude[name] for name in here if name in exclude},
                            **_of_band(options, band))

    responses = {band: fit(band, excluded) for band in counts}
    inconsistent = {str(row["name"]): f"in {band}: {row['reason']}"
                    for band, response in responses.items()
                    for row in response.stars if row["kind"] == INCONSISTENT}
    for band, response in responses.items():
        used = {str(row["name"]) for row in response.stars if row["used"]}
        again = {name: reason for name, reason in inconsistent.items() if name in used}
        if again:
            responses[band] = fit(band, excluded | again)
    return responses


def _check_band_options(options: Mapping[str, Any], counts: Mapping[str, Any]) -> None:
    """Refuse options that are mappings without one value for each band."""
    for name in _BAND_OPTIONS:
        value = options.get(name)
        if isinstance(value, Mapping) and set(value) != set(counts):
            raise InputError(f"{name} is for the bands {', '.join(map(str, value))}; counts has "
                             f"{', '.join(counts)}: give one value a band, or one for all")


def _of_band(options: Mapping[str, Any], band: str) -> dict[str, Any]:
    """The options of one band."""
    return {name: value[band] if name in _BAND_OPTIONS and isinstance(value, Mapping) else value
            for name, value in options.items()}


def _check_bands(counts: Any, seds: Any, bands: Any) -> None:
    """Check that counts and bands are mappings with the same bands, and one entry per SED."""
    if not isinstance(counts, Mapping) or not isinstance(bands, Mapping):
        raise InputError(f"counts is a {type(counts).__name__}, bands a {type(bands).__name__}; "
                         "mappings from the names of bands are needed")
    if not isinstance(seds, (list, tuple)):
        raise InputError(f"seds is a {type(seds).__name__}; a list with one SED per star is needed")
    unknown = sorted(set(counts) - set(bands))
    if unknown:
        raise InputError(f"counts has the band {unknown[0]!r}, bands has {', '.join(bands)}")
    for band, spectra in counts.items():
        if not isinstance(spectra, (list, tuple)) or len(spectra) != len(seds):
            number = len(spectra) if isinstance(spectra, (list, tuple)) else 1
            raise InputError(f"counts[{band!r}] has {number} entries for {len(seds)} stars; a "
                             "list is needed, with None where a star has none")


def _some_stars(stars: Mapping[str, Any] | None, rows: Sequence[int]) -> Mapping[str, Any] | None:
    """The positions and times of some of the stars."""
    if not isinstance(stars, Mapping):
        return stars
    try:
        return {name: np.asarray(value)[rows] for name, value in stars.items()}
    except IndexError as error:
        raise InputError(f"stars describes fewer stars than seds has ({error})") from error
