"""
The joint fit: one response from the extracted spectra of many stars.

``ln T`` is a cubic B-spline whose smoothness the data choose.  Every star's counts are
compared with what its SED predicts through the line-spread function, by generalised least
squares with photon noise, the covariance of the SED, grey and wavelength errors;
outliers lose their weight, pixel by pixel and star by star.
"""

import numpy as np
from astropy import units as u

from sedflux.exceptions import InputError
from sedflux.response.iterate import fit_stars
from sedflux.response.options import Options, field_values, saturation_rate
from sedflux.response.outliers import INCONSISTENT
from sedflux.response.stars import read_stars
from sedflux.response.systematics import LIBRARY_ERROR, TRUTH_SCALE
from sedflux.slitless.line_spread import LineSpread
from sedflux.units import positive_number

__all__ = ["fit_response", "fit_responses"]


def fit_response(counts, seds, *, area=None, band=None, line_spread=None, resolving_power=None,
                 second_order=None, names=None, stars=None, field=None, knot_spacing=None,
                 smoothness=None, grey_error=0.0, wavelength_error=0.0 * u.AA, robust=True,
                 truth_scale=TRUTH_SCALE, library_error=LIBRARY_ERROR, min_stars=3,
                 saturation=None, sed_resolving_power=None, covariance="full", exclude=None):
    """
    Fit one response curve to the extracted spectra of one or many stars.

    Parameters
    ----------
    counts : sequence of `~specutils.Spectrum`
        Extracted spectra in electron/s a pixel, each on its own pixel grid; one star
        may be given without a list.  Masked, not finite and saturated pixels are left out.
    seds : sequence of `~specutils.Spectrum`
        SEDs of the same stars in absolute flux (see `sedflux.anchor`), with their
        covariance.  Pixels beyond them are left out.
    area : `~astropy.units.Quantity`, optional
        Collecting area; that of ``band`` if not given.
    band : `~sedflux.SlitlessBand`, optional
        Gives area, range of wavelengths, line-spread function and second order.
    line_spread : `~sedflux.LineSpread`, optional
    resolving_power : float, optional
        lambda / FWHM of a Gaussian line-spread function, instead of ``line_spread``; none
        at all if neither is given.
    second_order : `~sedflux.slitless.forward.SecondOrder`, optional
        Light of the second order that the counts hold.
    names : sequence of str, optional
        Of the stars; their numbers if not given.
    stars : mapping, optional
        Arrays ``x``, ``y``, ``detector``, ``epoch`` of the stars, for ``field``.
    field : `~sedflux.FieldTerms`, optional
        How the response may change over field, detectors and time.
    knot_spacing : `~astropy.units.Quantity`, optional
        Distance of the spline's knots; by default the FWHM of the line-spread function, or
        two pixels without one.
    smoothness : float, optional
        Standard deviation of the second differences of ln(response) from knot to knot; by
        default that of the largest evidence.
    grey_error : float, optional
        Relative error of each star's scale beside that of its SED: aperture losses.
    wavelength_error : `~astropy.units.Quantity`, optional
        Error of each star's wavelength zero point.
    robust : bool, optional
        Give less weight to outliers and reject stars that are not what their SEDs say.
    truth_scale, library_error : optional
        Errors that all stars share; see `sedflux.response.systematics`.
    min_stars : float, optional
        Effective number of stars below which the response is masked; never more than
        half of the stars.
    saturation : `~astropy.units.Quantity`, optional
        Count rate from which a pixel is saturated.
    sed_resolving_power : float, optional
        lambda / FWHM with which the SEDs were broadened already; by default what
        `sedflux.predict_sed` says of its SEDs (200), and none for others.  Without a
        line-spread function SEDs are taken to be as blurred as the counts.
    covariance : {'full', 'diagonal'}, optional
        ``diagonal`` forgets that errors of an SED are common to its wavelengths, for
        comparison: the response's errors come out far too small.
    exclude : mapping of str to str, optional
        Names of stars to leave out, and why.

    Returns
    -------
    response : `ResponseCurve`

    Raises
    ------
    sedflux.exceptions.InputError
        If counts and SEDs do not pair up, a unit is wrong, or no star can be used or is
        left.  Single stars that cannot be used are listed in ``response.stars``.

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
    counts = [counts] if not isinstance(counts, (list, tuple)) else list(counts)
    seds = [seds] if not isinstance(seds, (list, tuple)) else list(seds)
    if len(counts) != len(seds) or not counts:
        raise InputError(f"counts and seds have {len(counts)} and {len(seds)} entries; "
                         "one SED for every star is needed, and at least one star")
    if names is not None and len(set(map(str, names))) != len(counts):
        raise InputError(f"names has {len(set(map(str, names)))} different entries for "
                         f"{len(counts)} stars; give every star a name of its own")
    if band is not None:
        area = band.area if area is None else area
        line_spread = line_spread or band.line_spread
        second_order = second_order or band.second_order
    if not isinstance(area, u.Quantity) or not area.unit.is_equivalent(u.cm**2) or not area > 0:
        raise InputError(f"area is {area!r}; give the collecting area, as 31416 * u.cm**2")
    if resolving_power is not None:
        line_spread = LineSpread.from_resolving_power(resolving_power)
    if covariance not in ("full", "diagonal"):
        raise InputError(f"covariance is {covariance!r}; 'full' and 'diagonal' are allowed")
    options = Options(
        None if knot_spacing is None else positive_number(knot_spacing, "knot_spacing", u.AA),
        None if smoothness is None else positive_number(smoothness, "smoothness"),
        positive_number(grey_error, "grey_error", zero=True),
        positive_number(wavelength_error, "wavelength_error", u.AA, zero=True), bool(robust),
        covariance == "diagonal", truth_scale, tuple(library_error),
        positive_number(min_stars, "min_stars", zero=True))
    ready = read_stars(
        counts, seds, area=area.to_value(u.cm**2), names=names, line_spread=line_spread,
        second_order=second_order, sed_resolving_power=sed_resolving_power,
        wavelength_range=None if band is None else band.wavelength_range,
        saturation=saturation_rate(saturation), exclude=exclude)
    terms = field_values(field, stars, len(counts))[ready.row]
    width = None if line_spread is None else line_spread.fwhm_at
    return fit_stars(ready, options, field=field, terms=terms, fwhm=width)


def fit_responses(counts, seds, bands, *, names=None, **options):
    """
    Fit the responses of several bands, which share what they learn of the stars.

    A star that is not what its SED says in one band (variable, blended, wrong dust) is left
    out of all; a spectrum that is spoiled in one band alone (an overlapping neighbour)
    is left out there.

    Parameters
    ----------
    counts : mapping of str to sequence of `~specutils.Spectrum`
        Extracted spectra of the same stars in each band; None for a star that a band lacks.
    seds : sequence of `~specutils.Spectrum`
    bands : mapping of str to `~sedflux.SlitlessBand`
    names : sequence of str, optional
        Of the stars.
    **options
        Of `fit_response`, for all bands.

    Returns
    -------
    responses : dict of str to `ResponseCurve`

    Raises
    ------
    sedflux.exceptions.InputError
        As `fit_response` does.
    """
    unknown = sorted(set(counts) - set(bands))
    if unknown:
        raise InputError(f"counts has the band {unknown[0]!r}, bands has {', '.join(bands)}")
    names = [str(name) for name in (names if names is not None else range(len(seds)))]

    def fit(band, exclude):
        if len(counts[band]) != len(seds):
            raise InputError(f"counts[{band!r}] has {len(counts[band])} entries for {len(seds)} "
                             "stars; give None where a star has none")
        rows = [row for row, one in enumerate(counts[band]) if one is not None]
        stars = options.get("stars")
        chosen = options | ({"stars": {key: np.asarray(value)[rows]
                                       for key, value in stars.items()}} if stars else {})
        return fit_response([counts[band][row] for row in rows], [seds[row] for row in rows],
                            band=bands[band], names=[names[row] for row in rows],
                            exclude=exclude, **chosen)

    found = {band: fit(band, None) for band in counts}
    strange = {str(row["name"]): f"in {band}: {row['reason']}" for band, response in found.items()
               for row in response.stars if row["kind"] == INCONSISTENT}
    for band, response in found.items():
        used = {str(row["name"]) for row in response.stars if row["used"]}
        if used & set(strange):
            found[band] = fit(band, {name: reason for name, reason in strange.items()
                                     if name in used})
    return found
