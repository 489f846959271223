"""
What a response fit makes of inputs that are wrong for all stars.

``python -m tests.oracle.slitless_study`` prints a table, and writes it with ``--output``.  Every
case is simulated by `slitless_sky` and fitted with the defaults.  A case is covered where the pull
by the total error is 1.3 or less, and seen where the fit warns.
"""

import argparse
import sys
import time
import warnings
from collections import Counter

import numpy as np
from astropy.table import Table

from sedflux import covariance_of, fit_response
from sedflux.exceptions import SedfluxWarning
from sedflux.response import CommonErrors

from .slitless_sky import BANDS, Wrong, make_objects, make_sky, true_throughput

__all__ = ["CASES", "fit_sky", "interval_pulls", "object_pulls", "study"]

#: Cases by name.
CASES = {
    "right": Wrong(),
    "E(B-V) + 0.03": Wrong(ebv_offset=0.03),
    "E(B-V) x 1.2": Wrong(ebv_scale=0.2),
    "E(B-V) x 2": Wrong(ebv_scale=1.0),
    "E(B-V) tails": Wrong(dust_tail=0.2),
    "magnitudes + 0.02": Wrong(magnitude_offset=0.02),
    "dispersion 1 %": Wrong(stretch=0.01),
    "shift 0.5 pixel": Wrong(shift_pixels=0.5),
    "air": Wrong(air=True),
    "LSF 10 %": Wrong(line_spread=0.1),
    "background 0.3": Wrong(background=0.3),
    "field 5 %": Wrong(field_tilt=0.05),
    "field 1 pixel": Wrong(field_dispersion=1.0),
}
#: Options of the fit by name: the defaults, no common errors, and no errors but those of SEDs.
ERRORS = {"defaults": {}, "statistical": {"common": CommonErrors.none()},
          "none": {"grey_error": 0.0, "wavelength_error": 0.0, "common": CommonErrors.none()}}
_INTERVAL = 50.0


def fit_sky(sky, **options):
    """Fit a field, and what the fit warns of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        response = fit_response(sky.counts, sky.seds, band=sky.band, names=sky.names(),
                                **({"stars": {"x": sky.x, "y": sky.y}} | options))
    return response, [str(one.message) for one in caught
                      if issubclass(one.category, SedfluxWarning)]


def interval_pulls(name, response, *, systematics=True):
    """Errors of ln(response) in intervals of 50 Angstrom, and their total or statistical sigmas."""
    good = response.good
    error = np.log(response.throughput / true_throughput(name, response.wavelength))[good]
    covariance = response.total_covariance if systematics else response.covariance
    factor = covariance.factor[:, good]
    place = (response.wavelength[good] // _INTERVAL).astype(int)
    rows = [place == one for one in np.unique(place)]
    return (np.array([error[row].mean() for row in rows]),
            np.array([np.sqrt((factor[:, row].mean(axis=1) ** 2).sum()) for row in rows]))


def object_pulls(name, response, number, *, seed, systematics=True):
    """
    Pulls of other objects that a response calibrates.

    Returns
    -------
    pixel, band : `~numpy.ndarray`
        Of all pixels, and of the mean over the band of each object.
    """
    pixel, band = [], []
    for counts, truth in make_objects(name, number, seed=seed):
        found = response.calibrate(counts, systematics=systematics)
        covariance, good = covariance_of(found), ~found.mask
        left = (found.flux.value - truth)[good]
        pixel.append(left / covariance.sigma[good])
        weight = good / good.sum()
        variance = covariance.diagonal @ weight**2 + np.sum((covariance.factor @ weight) ** 2)
        band.append(left.mean() / np.sqrt(variance))
    return np.concatenate(pixel), np.array(band)


def one_field(name, wrong, seed, size, errors):
    """Errors and pull of one field, warnings, and good stars that are rejected."""
    sky = make_sky(name, seed=seed, size=size, wrong=wrong)
    response, said = fit_sky(sky, **ERRORS[errors])
    error, sigma = interval_pulls(name, response)
    statistical = interval_pulls(name, response, systematics=False)[1]
    out = np.array([not used for used in response.stars["used"]])
    stars = np.array([int(str(one)[4:]) for one in response.stars["name"]])
    tests = response.diagnostics()
    return {"error": np.sqrt(np.mean(error**2)), "largest": np.abs(error).max(),
            "pull": np.sqrt(np.mean((error / sigma) ** 2)),
            "statistical": np.sqrt(np.mean((error / statistical) ** 2)), "warned": bool(said),
            "chi2": response.chi2 / response.degrees_of_freedom,
            "false": int((out & ~sky.outlier[stars]).sum()),
            "missed": int((~out & sky.outlier[stars]).sum()),
            "causes": [str(row["test"]) for row in tests if row["order"] > 0]}


def study(*, fields, size=80, bands=tuple(BANDS), cases=tuple(CASES), errors="defaults", seed=1,
          report=lambda row: None):
    """
    One row a case and band.

    Parameters
    ----------
    fields : int
        Fields of each case and band.
    size : int, optional
        Stars of each field.
    bands, cases : sequence of str, optional
    errors : {'defaults', 'statistical', 'none'}, optional
        Errors that the fit is told: `ERRORS`.
    seed : int, optional
        Of the first field.
    report : callable, optional
        Called with each row.

    Returns
    -------
    table : `~astropy.table.Table`
        ``rms`` and ``largest`` error of ln(response) in percent, ``pull`` by the total error and
        by the ``statistical`` error alone,
        ``chi2`` over degrees of freedom, share of fields ``warned``, good stars rejected
        (``false``) and outliers ``missed`` a field, and the ``causes`` that are named.
    """
    rows = []
    for case in cases:
        for name in bands:
            begin = time.perf_counter()
            found = [one_field(name, CASES[case], seed + number, size, errors)
                     for number in range(fields)]
            rms = {key: np.sqrt(np.mean([one[key] ** 2 for one in found]))
                   for key in ("error", "pull", "statistical")}
            mean = {key: np.mean([one[key] for one in found])
                    for key in ("chi2", "warned", "false", "missed")}
            causes = Counter(cause for one in found for cause in one["causes"])
            rows.append({
                "case": case, "band": name, "fields": fields, "rms": 100.0 * rms["error"],
                "largest": 100.0 * max(one["largest"] for one in found), "pull": rms["pull"],
                "statistical": rms["statistical"], **mean,
                "causes": ", ".join(f"{one} {n}" for one, n in causes.most_common(4)),
                "seconds": (time.perf_counter() - begin) / fields})
            report(rows[-1])
    table = Table(rows)
    for column in table.columns.values():
        if column.dtype.kind == "f":
            column.info.format = ".2f"
    return table


def main():
    """Run the cases that are asked for, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.oracle.slitless_study")
    parser.add_argument("--fields", type=int, default=8)
    parser.add_argument("--size", type=int, default=80)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bands", nargs="+", default=list(BANDS), choices=list(BANDS))
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--errors", default="defaults", choices=list(ERRORS))
    parser.add_argument("--output", help="table (ECSV) to write")
    options = vars(parser.parse_args())
    output = options.pop("output")
    table = study(**options, report=_show)
    table.pprint_all()
    if output:
        table.write(output, format="ascii.ecsv", overwrite=True)


def _show(row):
    """One row on standard error, as soon as it is known."""
    sys.stderr.write(" ".join(f"{value:.2f}" if isinstance(value, float) else str(value)
                              for value in row.values()) + "\n")


if __name__ == "__main__":
    main()
