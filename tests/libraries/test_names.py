"""What importing the labels costs."""

import subprocess
import sys


def test_labels_load_no_reader_of_files():
    code = ("import sys, sedflux.libraries.labels; "
            "print('sedflux.libraries.library' in sys.modules, 'astropy.io.fits' in sys.modules)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_prediction_loads_no_interpolation_and_no_figures():
    """Modules that take long to import, and that a prediction from arrays does not need."""
    code = ("import sys, sedflux.predict.predictor; "
            "print(sorted({'scipy.interpolate', 'matplotlib', 'specutils', 'torch', 'pandas'} "
            "& set(sys.modules)))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
