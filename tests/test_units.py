"""Numbers at the public doors."""

import numpy as np
import pytest

from sedflux import InputError
from sedflux.units import plain_number, whole_number


@pytest.mark.parametrize("value", [10**400, True, "5", None, 1j, np.nan, [1.0], np.ma.masked])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(InputError, match="exposure is"):
        plain_number(value, "exposure")


@pytest.mark.parametrize("value", [True, np.True_, 1.5, "5", None, -1])
def test_what_is_no_whole_number_is_refused(value):
    with pytest.raises(InputError, match="size is"):
        whole_number(value, "size")
