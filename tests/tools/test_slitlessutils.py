"""
The loop through slitlessutils, in its own environment.

``SEDFLUX_GRISM=PATH python -m pytest -m tools tests/tools`` runs it, with the packages of
``tests/tools/requirements.txt`` and the folder ``IR`` of the repository npirzkal/GRISM_WFC3.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("slitless_loop.py")


@pytest.mark.tools
@pytest.mark.skipif(importlib.util.find_spec("slitlessutils") is None
                    or "SEDFLUX_GRISM" not in os.environ,
                    reason="needs slitlessutils, and SEDFLUX_GRISM with the files of G102")
def test_slitlessutils_extracts_right_fluxes_by_our_sensitivity(tmp_path):
    done = subprocess.run(
        [sys.executable, PROGRAM, tmp_path, os.environ["SEDFLUX_GRISM"]],
        capture_output=True, text=True, check=False, timeout=3600)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert abs(found["response"][0]) < 0.005
    assert abs(found["ours"][0]) < 0.001
