"""Hypothesis strategies: which changes of good inputs, in which order, with which numbers."""

from importlib.util import find_spec

from hypothesis import strategies as st

from . import arrays, files, operations, options, products, spectra
from .judge import Case

__all__ = ["TARGETS", "cases", "run"]

#: Modules that make the inputs of a target and judge what comes out.
TARGETS = {"arrays": arrays, "spectra": spectra, "options": options, "files": files,
           "products": products, "operations": operations, "seds": files, "responses": files,
           "models": files}
if find_spec("zarr") and find_spec("pyarrow"):
    from . import catalogs

    TARGETS["catalogs"] = catalogs


def cases(target):
    """Cases of a target: up to four changes, or as many as it likes, and a seed."""
    names = st.sampled_from(sorted(TARGETS[target].CHANGES))
    most = getattr(TARGETS[target], "MOST", 4)
    return st.builds(Case, st.just(target), st.lists(names, max_size=most).map(tuple),
                     st.integers(0, 2**31 - 1))


def run(case):
    """Make the input of a case, and judge what comes out."""
    return TARGETS[case.target].run(case)
