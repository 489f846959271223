"""
Errors that models of white dwarfs share: other physics, and convection in three dimensions.

More stars do not reduce them, so each is a named part of the covariance.  ``models`` is what
spectra of another set of models, without thermodynamic equilibrium and with other line profiles,
make the network say, beside their own SEDs.  ``convection`` is what corrections of one-dimensional
fits do to the SED.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from sedflux.spectra.continuum import remove_continuum
from sedflux.training.augment import Observing, observe
from sedflux.training.white_dwarf_spectra import WhiteDwarfSpectra

if TYPE_CHECKING:
    from sedflux.libraries.library import SpectralLibrary
    from sedflux.training.types import Network

__all__ = ["CONVECTION", "common_errors"]

#: Corrections from one to three dimensions, at temperatures (K): of TEFF (K) and LOGG (dex).  They
#: are the analytical functions of Tremblay et al. (2013, A&A 559, A104) for ML2/alpha = 0.8, at
#: LOGG = 8, whose coefficients were read from four public programs that agree.  One-dimensional
#: fits of Balmer lines give too high gravities and temperatures where convection is strong.
CONVECTION = ((6000.0, 6500.0, 7000.0, 7500.0, 8000.0, 8500.0, 9000.0, 9500.0, 10000.0, 10500.0,
               11000.0, 11500.0, 12000.0, 12500.0, 13000.0, 13500.0),
              (1.0, 1.0, 1.0, 4.0, 7.0, -13.0, -66.0, -129.0, -186.0, -240.0, -292.0, -322.0,
               -282.0, -159.0, -43.0, 0.0),
              (-0.010, -0.028, -0.064, -0.119, -0.185, -0.242, -0.272, -0.273, -0.256, -0.222,
               -0.169, -0.104, -0.047, -0.014, -0.001, 0.0))
#: Surface gravity at which the errors are measured, that of most white dwarfs, and spectra that
#: measure them: resolving power, and S/N per pixel.
_LOGG, _POWER, _SNR = 8.0, 1500.0, 100.0
#: Temperatures (K) at which the errors are stored.
_NODES = np.geomspace(6500.0, 80000.0, 24)


def common_errors(network: Network, generator: Any,
                  other: SpectralLibrary | None = None) -> dict[str, Any]:
    """
    Errors of ln(SED) that all white dwarfs of one temperature share.

    Parameters
    ----------
    network : `torch.nn.Module`
    generator : `~sedflux.training.white_dwarfs.WhiteDwarfGenerator`
        Of the models that the network was trained on.
    other : `~sedflux.libraries.SpectralLibrary`, optional
        Other models of white dwarfs.

    Returns
    -------
    common : dict
        As `sedflux.predict.sigma.Widening` takes it.
    """
    errors = {"convection": _convection(generator)}
    if other is not None:
        errors["models"] = _models(network, generator, other)
    scores = {}
    for name, rows in errors.items():
        found = network.scores_of(torch.from_numpy(rows).float() + network.sed_mean)
        scores[name] = np.round(found.numpy().astype(float), 6).tolist()
    return {"teff": np.round(_NODES, 1).tolist(), "scores": scores}


def _convection(generator):
    """Change of ln(SED) by the corrections, (m, 575)."""
    teff, logg = (np.interp(_NODES, CONVECTION[0], values) for values in CONVECTION[1:])
    here = np.column_stack([_NODES, np.full(_NODES.size, _LOGG)])
    there = np.column_stack([_NODES + teff, _LOGG + logg])
    change = generator.relative(generator.spectra(there)[1])
    return change - generator.relative(generator.spectra(here)[1])


def _models(network, generator, other):
    """Predictions of spectra of other models minus their own SEDs, (m, 575)."""
    teff = np.clip(_NODES, *(getattr(np, end)(other.labels[:, 0]) for end in ("min", "max")))
    labels = np.column_stack([teff, np.full(teff.size, _LOGG)])
    flux, log_sed = WhiteDwarfSpectra(other)(labels)
    same = np.ones(len(flux))
    clean = observe(flux, Observing(_POWER * same, 0.0 * same, 0.0 * same))
    normalised, ivar = remove_continuum(clean, (_SNR / clean) ** 2, generator.continuum)
    with torch.inference_mode():
        mean = network(*(torch.from_numpy(part.astype(np.float32))
                         for part in (normalised, ivar, _POWER * same))).mean.numpy()
    return generator.relative(mean.astype(float)) - generator.relative(log_sed)
