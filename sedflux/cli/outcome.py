"""Input and output files of ``sedflux predict`` for one star."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from astropy import units as u

from sedflux.cli import report
from sedflux.cli.places import Job
from sedflux.exceptions import InputError
from sedflux.io.registry import read_spectrum
from sedflux.io.sed import write_sed
from sedflux.predict.checks import check_reddening, velocity_of
from sedflux.predict.prediction import SEDPrediction
from sedflux.predict.predictor import Predictor
from sedflux.predict.sed import to_sed

__all__ = ["Writer", "input_options", "read_star"]


def read_star(path: str) -> Any:
    """
    Read the spectrum of a star.

    Parameters
    ----------
    path : str

    Returns
    -------
    spectrum : `~specutils.Spectrum`

    Raises
    ------
    sedflux.exceptions.InputError
        If it cannot be read, or is an SED that sedflux predicted.
    """
    spectrum = read_spectrum(path)
    if "SEDMODEL" in spectrum.meta.get("header", {}):
        raise InputError(f"{path!r} is an SED that sedflux predicted; give the spectrum of a star")
    return spectrum


def input_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Options of `~sedflux.Predictor.predict_spectrum`; None where the user gave none."""
    velocity = arguments.radial_velocity
    return {"resolving_power": arguments.resolving_power, "medium": arguments.medium,
            "radial_velocity": None if velocity is None else velocity * u.km / u.s}


class Writer:
    """
    Writes SEDs, figures and the table of stars, and makes the printed lines about them.

    Parameters
    ----------
    arguments : `argparse.Namespace`
        Of ``sedflux predict``.
    predictor : `~sedflux.Predictor`
    """

    def __init__(self, arguments: argparse.Namespace, predictor: Predictor) -> None:
        self.arguments, self.predictor = arguments, predictor
        self.dust = None
        if arguments.reddening is not None:
            self.dust = check_reddening((arguments.reddening, arguments.reddening_error or 0.0))
        self.band = _bandpass(arguments)
        self.truth = None if arguments.measured is None else read_star(arguments.measured)
        self.photometry = None
        if arguments.photometry is not None:
            from sedflux.cli.photometry import read_photometry

            self.photometry = read_photometry(arguments.photometry, arguments.bandpasses)
        self.caveat = predictor.metadata.get("caveat")

    def write(self, job: Job, spectrum: Any, prediction: SEDPrediction) -> dict[str, Any]:
        """
        Write the files of one star.

        Parameters
        ----------
        job : `~sedflux.cli.places.Job`
        spectrum : `~specutils.Spectrum`
        prediction : `~sedflux.SEDPrediction`
            Without dust.

        Returns
        -------
        record : dict
            See `sedflux.cli.report.star_record`, with ``output`` and ``figure``.
        """
        reddened = prediction
        if self.dust is not None and self.photometry is None:
            reddened = prediction.reddened(self.dust[0], reddening_error=self.dust[1])
        measured = self._measured(spectrum, prediction)
        record = report.star_record(job.spectrum, spectrum, reddened, measured)
        if job.sed is not None:
            sed = self._sed(job, spectrum, prediction)
            write_sed(sed, job.sed, overwrite=True)
            record |= _conditioned(sed)
        if job.figure is not None:
            from sedflux.plotting import plot_prediction

            plot_prediction(
                job.figure, reddened, measured=measured,
                normalised=report.normalised_input(spectrum, reddened, self.arguments),
                title=f"{record['object']}   model {prediction.model}")
        return record | {"output": None if job.sed is None else str(job.sed),
                         "figure": None if job.figure is None else str(job.figure)}

    def _measured(self, spectrum, prediction):
        """What the SED is compared with: that of another file, or the spectrum's own flux."""
        if self.truth is None:
            return report.measured_sed(spectrum, prediction.wavelength, prediction.radial_velocity)
        velocity = velocity_of(self.truth, self.truth.meta, None)
        found = report.measured_sed(self.truth, prediction.wavelength, velocity)
        if found is None:
            raise InputError(f"--measured is {self.arguments.measured!r}, which is no spectrum of "
                             "HST over 4000-7000 A; give a file of CALSPEC or NGSL")
        return found

    def _sed(self, job, spectrum, prediction):
        """The SED with its covariance; on an absolute scale if magnitudes are given."""
        from sedflux.photometry import anchor

        if self.photometry is not None:
            sed = to_sed(prediction, type(spectrum), meta=spectrum.meta)
            return self.photometry.condition(sed, job.spectrum, self.dust)
        sed = to_sed(prediction, type(spectrum), reddening=self.dust, meta=spectrum.meta)
        if self.band is None:
            return sed
        return anchor(sed, self.arguments.magnitude * u.ABmag, self.band,
                      magnitude_error=(self.arguments.magnitude_error or 0.0) * u.mag)

    def heading(self) -> str:
        """Heading for the lines about several stars."""
        return report.heading()

    def lines(self, record: Mapping[str, Any], *, short: bool) -> Iterator[str]:
        """Printed lines about one star."""
        if short:
            yield report.short_report(record)
            return
        yield from report.report(record, self.caveat)
        if "photometry" in record:
            found = record["photometry"]
            yield (f"E(B-V) {found['reddening']:.3f} +- {found['reddening_error']:.3f}, chi2 "
                   f"{found['chi2']:.1f} of {found['dof']} degrees of freedom, pulls "
                   + ", ".join(f"{band} {pull:+.1f}" for band, pull in found["pulls"].items()))
        for path in (record["output"], record["figure"]):
            if path is not None:
                yield f"wrote {path}"

    def write_table(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Write the table of stars."""
        report.write_table(Path(self.arguments.table), records, self.caveat)

    def json(self, records: Sequence[Mapping[str, Any]], failed: Mapping[str, str]) -> str:
        """The JSON document."""
        return report.json_document(records, failed, {
            "name": self.predictor.name, "sha256": self.predictor.sha256, "caveat": self.caveat})


def _conditioned(sed):
    """Results of the conditioning on magnitudes for a star's record; empty without magnitudes."""
    found = sed.meta["sedflux"].get("photometry")
    if found is None:
        return {}
    numbers = {name: float(getattr(found, name))
               for name in ("reddening", "reddening_error", "chi2", "p_value")}
    pulls = {band: float(pull) for band, pull in zip(found.bands, found.pulls, strict=True)}
    return {"photometry": numbers | {"dof": int(found.dof), "pulls": pulls}}


def _bandpass(arguments):
    """Bandpass of the magnitude as `synphot.SpectralElement`; None without a magnitude."""
    if arguments.bandpass is None:
        return None
    from sedflux.slitless.throughput import read_throughput

    return read_throughput(arguments.bandpass).to_synphot()
