"""Predictors in pools of processes: all return, with the same numbers."""

import multiprocessing
import subprocess
import sys

import pytest

#: What a user's script looks like: torch's threads have worked before the pool starts.
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


if __name__ == "__main__":
    method, threads = sys.argv[1:]
    start()
    if threads == "threads":
        import torch

        torch.set_num_threads(2)
        torch.ones(2000, 2000) @ torch.ones(2000, 2000)
        predictor.predict(wavelength, np.stack([flux] * 600))
    with mp.get_context(method).Pool(2, initializer=start) as pool:
        found = pool.map(work, range(4))
    print(len(set(found)), abs(found[0] / work(0) - 1.0) < 1e-5)
"""


@pytest.mark.parametrize(("method", "threads"), [("fork", "fresh"), ("fork", "threads"),
                                                 ("spawn", "threads"), ("forkserver", "threads")])
def test_pools_return(method, threads, tmp_path):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} here")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run([sys.executable, script, method, threads], capture_output=True, text=True,
                          timeout=300, check=False)
    assert done.stdout.split() == ["1", "True"], done.stderr
