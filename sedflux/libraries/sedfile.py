"""SEDs as sedflux writes them: relative flux, which specutils' own reader cannot place."""

from astropy import units as u
from astropy.io import fits
from astropy.nddata import StdDevUncertainty
from astropy.table import QTable

__all__ = ["identify_sed", "read_sed"]


def identify_sed(origin, path, *args, **kwargs):
    """Whether a file is an SED that sedflux predicted, for the registry."""
    try:
        with fits.open(path) as hdus:
            return "SEDMODEL" in hdus[0].header or "SEDMODEL" in hdus[1].header
    except (OSError, ValueError, TypeError, IndexError):
        return False


def read_sed(path, **kwargs):
    """
    Read an SED that was written with ``sed.write(path, format="tabular-fits")``.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    sed : `~specutils.Spectrum`
        Flux, sigma, mask and ``meta["header"]`` as they were written; of the covariance
        the file holds the diagonal alone.
    """
    from specutils import Spectrum

    with fits.open(path, memmap=False) as hdus:
        header = hdus[0].header if "SEDMODEL" in hdus[0].header else hdus[1].header
        table = QTable.read(hdus[1])
    flux = table["flux"]
    unit = getattr(flux, "unit", None) or u.dimensionless_unscaled
    names = [name for name in table.colnames if "uncertainty" in name]
    sigma = table[names[0]] if names else None
    mask = table["mask"] if "mask" in table.colnames else None
    # Many stars are written with the spectral axis first.
    sigma = None if sigma is None else StdDevUncertainty(u.Quantity(sigma, unit).T)
    return Spectrum(spectral_axis=table[table.colnames[0]], flux=u.Quantity(flux, unit).T,
                    uncertainty=sigma,
                    mask=None if mask is None else mask.T, meta={"header": header})
