"""Predictors in pools of processes: all return, with the same numbers."""

import multiprocessing
import os
import subprocess
import sys

#: What a user's script looks like: before and after threads of its own and torch's have worked.
SCRIPT = """
import multiprocessing as mp
import sys
import warnings

import numpy as np

from sedflux import Predictor
from sedflux.demo import demo_arrays

warnings.simplefilter("ignore")
wavelength, flux = demo_arrays()
predictor = None


def start():
    global predictor
    predictor = predictor or Predictor()


def work(number):
    return float(predictor.predict(wavelength, flux).flux[0])


def check(method):
    with mp.get_context(method).Pool(2, initializer=start) as pool:
        found = pool.map(work, range(4))
    print(method, len(set(found)), abs(found[0] / work(0) - 1.0) < 1e-5)


if __name__ == "__main__":
    start()
    check("fork")
    predictor.predict(wavelength, np.stack([flux] * 600))
    check("fork")
    assert "torch" not in sys.modules
    import torch

    torch.set_num_threads(2)
    torch.ones(2000, 2000) @ torch.ones(2000, 2000)
    # Threads that end while a process is forked leave it with a lock that nobody opens.
    for method in ("fork", "fork", *mp.get_all_start_methods()):
        predictor.predict(wavelength, np.stack([flux] * 600))
        check(method)
"""


def test_pools_return(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    # Tests that run side by side have one thread each; here threads are what the test is about.
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=300,
                          check=False, env=os.environ | {"OMP_NUM_THREADS": "2"})
    expected = [f"{method} 1 True"
                for method in ("fork",) * 4 + (*multiprocessing.get_all_start_methods(),)]
    assert done.stdout.splitlines() == expected, done.stderr
