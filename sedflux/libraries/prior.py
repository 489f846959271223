"""
The distribution of labels that a model expects: part of every answer.

Where lines say little (the Balmer jump of A and F stars hangs on a gravity that lines
hardly fix) the distribution of labels in the training decides bias and error.  Two are
known.  ``flat`` is the library's own: even in its labels, so that no kind of star is
favoured.  ``survey`` is what a magnitude-limited survey of the thick of the Galaxy sees,
written down here as a sum of Gaussian loci in (TEFF, LOGG), each with its share and its
metallicities: the main sequence of F, G and K stars, that of A stars, the turn-off, the
giant branch, the red clump and the blue horizontal branch.  The shares are round numbers for
the LAMOST survey; they are no model of the Galaxy.
"""

from dataclasses import dataclass

import numpy as np

from sedflux.exceptions import InputError

__all__ = ["PRIORS", "SURVEY", "Locus", "label_chances", "survey_density"]

PRIORS = ("flat", "survey")
#: Share of ``survey`` draws that come from the flat prior, so that no star is impossible.
_FLOOR = 0.05


@dataclass(frozen=True)
class Locus:
    """
    One kind of star: a Gaussian locus along a line in (TEFF, LOGG).

    Attributes
    ----------
    name : str
    share : float
        Of all stars.
    teff : tuple of float
        Ends of the line in K.
    logg : tuple of float
        LOGG at both ends.
    width : float
        Of the locus in LOGG.
    peak, spread : float
        TEFF at which the locus is densest, and its standard deviation.
    mh, mh_width : float
        Mean and standard deviation of [M/H].
    """

    name: str
    share: float
    teff: tuple
    logg: tuple
    width: float
    peak: float
    spread: float
    mh: float
    mh_width: float

    def density(self, labels):
        """Density at labels (N, 6), in units of 1 / (K dex dex)."""
        teff, logg, mh = np.asarray(labels, dtype=float).T[:3]
        line = np.interp(teff, self.teff, self.logg)
        beyond = np.clip(teff, *self.teff) - teff
        exponent = (((logg - line) / self.width) ** 2 + ((teff - self.peak) / self.spread) ** 2
                    + ((mh - self.mh) / self.mh_width) ** 2 + (beyond / 150.0) ** 2)
        volume = (2.0 * np.pi) ** 1.5 * self.width * self.spread * self.mh_width
        return self.share * np.exp(-0.5 * exponent) / volume


#: Kinds of stars that a magnitude-limited survey sees.
SURVEY = (
    Locus("dwarfs of type F, G, K", 0.50, (4500.0, 7200.0), (4.65, 4.15), 0.12, 5800.0, 600.0,
          -0.2, 0.30),
    Locus("turn-off and subgiants", 0.15, (5000.0, 6800.0), (3.5, 4.0), 0.20, 5900.0, 450.0,
          -0.3, 0.40),
    Locus("giant branch", 0.18, (4500.0, 5400.0), (1.9, 3.4), 0.20, 4800.0, 300.0, -0.4, 0.45),
    Locus("red clump", 0.08, (4600.0, 5200.0), (2.4, 2.6), 0.12, 4850.0, 150.0, -0.2, 0.30),
    Locus("dwarfs of type A", 0.06, (7000.0, 10250.0), (4.15, 4.05), 0.18, 8000.0, 900.0, -0.1,
          0.30),
    Locus("horizontal branch", 0.005, (6500.0, 10250.0), (2.6, 3.5), 0.15, 8500.0, 1200.0, -1.6,
          0.40),
    Locus("halo", 0.025, (4600.0, 6600.0), (1.5, 4.3), 0.50, 5900.0, 500.0, -1.5, 0.50),
)


def survey_density(labels):
    """
    Density of stars in a magnitude-limited survey.

    Parameters
    ----------
    labels : array_like, shape (N, 6) or (N, 3)
        TEFF (K), LOGG, MH, and what follows.

    Returns
    -------
    density : `~numpy.ndarray`, shape (N,)
        In units of 1 / (K dex dex).

    Examples
    --------
    A dwarf like the Sun is far more common than a horizontal-branch star:

    >>> from sedflux.libraries.prior import survey_density
    >>> sun, horizontal = survey_density([[5777, 4.44, 0.0], [8500, 3.1, -1.6]])
    >>> bool(sun > 50 * horizontal)
    True
    """
    return sum(locus.density(labels) for locus in SURVEY)


def label_chances(labels, prior, *, floor=_FLOOR):
    """
    Chance with which each model of a flat library is drawn under a prior.

    Parameters
    ----------
    labels : `~numpy.ndarray`, shape (n, 6)
    prior : {'flat', 'survey'}
    floor : float, optional
        Share of ``survey`` draws that come from the flat prior.

    Returns
    -------
    chances : `~numpy.ndarray`, shape (n,)
        They sum to one.

    Raises
    ------
    sedflux.exceptions.InputError
        If the prior is unknown.
    """
    if prior not in PRIORS:
        raise InputError(f"prior {prior!r} is not known; choose one of {', '.join(PRIORS)}")
    even = np.full(len(labels), 1.0 / len(labels))
    if prior == "flat":
        return even
    density = survey_density(labels)
    if not density.sum() > 0:
        return even
    return (1.0 - floor) * density / density.sum() + floor * even
