"""
Predictions for millions of spectra: sources, shards, and the catalogue of results.

This package needs those of the extra ``catalog``.
"""

from importlib.util import find_spec

from sedflux.exceptions import MissingExtraError

_NEEDED = ("dask", "distributed", "pyarrow", "zarr")

if _missing := [name for name in _NEEDED if find_spec(name) is None]:
    raise MissingExtraError(f"catalogues need {', '.join(_missing)}; install them with: "
                            "python -m pip install 'sedflux[catalog]'")
