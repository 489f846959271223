"""A few inputs of every kind, the same in every run."""

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from .arrays import CHANGES, HARMLESS
from .judge import Case, Violation, judge
from .operations import CHANGES as OPERATIONS
from .strategies import TARGETS, cases, run

#: Inputs of each target; files take longest.
EXAMPLES = {"arrays": 60, "spectra": 40, "options": 60, "files": 25, "products": 60,
            "operations": 20, "seds": 25, "responses": 15, "models": 10, "catalogs": 15}

pytestmark = [
    # specutils leaves files open that none of its readers knows.
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_bad_passes(target):
    @settings(max_examples=EXAMPLES[target], derandomize=True, deadline=None, database=None,
              phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(cases(target))
    def one(case):
        run(case)

    one()


@pytest.mark.parametrize("change", HARMLESS)
def test_harmless_changes_change_nothing(change):
    assert run(Case("arrays", (change,), 3)) == "predicted"
    assert run(Case("spectra", (), 3)) == "predicted"


@pytest.mark.parametrize("change", sorted(CHANGES))
def test_every_change_of_arrays(change):
    for number in range(3):
        run(Case("arrays", (change,), number))


@pytest.mark.parametrize("change", sorted(OPERATIONS))
def test_every_operation_on_an_sed(change):
    """Alone, and between others on an absolute SED that is written."""
    for before, after in (((), ()), (("anchored",), ("axis_unit", "written"))):
        run(Case("operations", (*before, change, *after), 5))


def test_a_case_can_be_made_again():
    case = Case("arrays", ("noise", "scale"), 17)
    assert Case.parse(str(case)) == case
    assert Case.parse(str(Case("files"))) == Case("files")


def test_the_judge_tells_what_is_wrong():
    """The tests of this folder can fail."""
    import warnings

    import numpy as np

    from sedflux import InputError

    from .arrays import base
    from .judge import check_prediction

    def fail(error):
        raise error

    for call, kind in ((lambda: fail(KeyError("x")), "error KeyError"),
                       (lambda: warnings.warn("x", RuntimeWarning, stacklevel=1), "warning"),
                       (lambda: fail(InputError("something")), "names nothing")):
        with pytest.raises(Violation, match=kind):
            judge(call, lambda result: None, ("flux",))
    assert judge(lambda: fail(InputError("flux is 5")), None, ("flux",)) == "refused"
    good = base()[4]
    for change, kind in (({"flux": good.flux * np.nan}, "flux is not finite"),
                         ({"flux": -good.flux}, "flux is not positive"),
                         ({"factor": good.factor * np.nan}, "sigma is not finite"),
                         ({"flags": ("x",)}, "flags and bits")):
        from dataclasses import replace

        with pytest.raises(Violation, match=kind):
            check_prediction(replace(good, **change))
