"""Spectra as arrays: grids, resolution, continuum, dust; no model and no instrument."""
