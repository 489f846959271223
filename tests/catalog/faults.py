"""
Long runs for maintainers: killed workers, and memory against the number of spectra.

``python -m tests.catalog.faults --kills 20 --spectra 5000`` kills workers of a local Dask cluster
with SIGKILL while a catalogue is predicted, and compares it with one that nobody disturbed.
``python -m tests.catalog.faults --memory 10000 200000 --workers 2`` prints the memory that
catalogues of such sizes need.  Spectra are of the demo star, with noise, in LAMOST's layout; a few
hundred files stand under many names.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from astropy.io import fits

from sedflux.catalog.catalog import SEDCatalog
from sedflux.catalog.destination import Destination
from sedflux.catalog.run import _local_client, predict_catalog
from sedflux.demo import demo_arrays

#: Different files; the others are links to them.
_FILES = 200
#: Spectra a shard of the disturbed run: so few that there are many moments to kill at.
_SHARD = 32
#: Seconds for which a new worker is spared.
_STARTING = 2.0
#: What a fresh process does to measure its memory.
_MEASURE = """
import json, resource, sys
from sedflux.catalog.run import predict_catalog
if __name__ == "__main__":
    summary = predict_catalog(sys.argv[1], sys.argv[2], workers=int(sys.argv[3]), progress=False)
    own, workers = (resource.getrusage(who).ru_maxrss / 1024
                    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(json.dumps(summary | {"MiB": round(own), "MiB of a worker": round(workers)}))
"""


def write_survey(folder, count, *, files=_FILES, seed=1):
    """
    A folder of spectra in LAMOST's image layout.

    Parameters
    ----------
    folder : `~pathlib.Path`
        New.
    count : int
        Number of names.
    files : int, optional
        Number of different spectra.
    """
    rng = np.random.default_rng(seed)
    wavelength, flux = demo_arrays()
    start, size = 3.5682, 3909
    pixels = 10 ** (start + 1e-4 * np.arange(size))
    shape = 1e3 * np.interp(pixels / (1.0 + 1e-4), wavelength, flux)
    folder.mkdir(parents=True)
    for number in range(count):
        place = folder / f"plate{number // 1000:04d}"
        place.mkdir(exist_ok=True)
        path = place / f"spec-{number:07d}.fits"
        if number >= files:
            first = number % files
            os.link(folder / f"plate{first // 1000:04d}" / f"spec-{first:07d}.fits", path)
            continue
        snr = rng.uniform(10.0, 80.0)
        data = np.zeros((5, size), dtype=np.float32)
        data[0] = shape * (1.0 + rng.standard_normal(size) / snr)
        data[1], data[2] = (snr / shape) ** 2, pixels
        cards = [("ORIGIN", "NAOC-LAMOST"), ("COEFF0", start), ("COEFF1", 1e-4), ("Z", 1e-4),
                 ("CLASS", "STAR"), ("RA", 10.0), ("DEC", -5.0), ("DESIG", f"LAMOST {number}")]
        fits.PrimaryHDU(data, header=fits.Header(cards)).writeto(path)


def _checksums(path):
    return {number: note["sha256"] for number, note in Destination(path).notes().items()}


class Killer(threading.Thread):
    """
    Kills workers of a cluster, spread over the shards of a run.

    A worker that has just started is spared: its nanny gives up if it dies before it is up.
    """

    def __init__(self, client, path, shards, kills, seed):
        super().__init__(daemon=True)
        self.client, self.notes, self.wanted, self.killed = client, path / "landed", kills, 0
        self.every = max(shards // (kills + 1), 1)
        self.random, self.over, self.known = random.Random(seed), threading.Event(), {}

    def run(self):
        while self.killed < self.wanted and not self.over.wait(self.random.uniform(0.1, 0.6)):
            alive = self.client.run(os.getpid, on_error="ignore")
            now = time.monotonic()
            self.known = {pid: self.known.get(pid, now) for pid in alive.values()
                          if isinstance(pid, int)}
            old = [pid for pid, begin in self.known.items() if now - begin > _STARTING]
            if old and len(list(self.notes.glob("*.json"))) > self.every * self.killed:
                os.kill(self.random.choice(old), signal.SIGKILL)
                self.killed += 1


def kill_workers(folder, count, kills, seed=0):
    """
    Compare a catalogue whose workers were killed with one that nobody disturbed.

    Returns
    -------
    found : dict
    """
    write_survey(folder / "survey", count)
    begin = time.monotonic()
    with _local_client(2) as client:
        killer = Killer(client, folder / "killed", -(-count // _SHARD), kills, seed)
        killer.start()
        summary = predict_catalog(folder / "survey", folder / "killed", client=client,
                                  shard_size=_SHARD, progress=False)
        killer.over.set()
        killer.join()
    disturbed = time.monotonic() - begin
    predict_catalog(folder / "survey", folder / "calm", workers=1, shard_size=_SHARD,
                    progress=False)
    names = SEDCatalog(folder / "killed").columns("identifier")["identifier"]
    return summary | {
        "kills": killer.killed, "seconds": round(disturbed, 1),
        "each once": len(names) == len(set(names)) == count,
        "as undisturbed": _checksums(folder / "killed") == _checksums(folder / "calm")}


def measure_memory(folder, sizes, workers):
    """
    Largest memory of processes that predict so many spectra, and their time.

    Yields
    ------
    found : dict
        Of one size.
    """
    for size in sizes:
        write_survey(folder / f"survey{size}", size)
        begin, script = time.monotonic(), folder / "measure.py"
        # Processes of a cluster read the program again: it must be a file.
        script.write_text(_MEASURE)
        done = subprocess.run(
            [sys.executable, str(script), str(folder / f"survey{size}"),
             str(folder / f"out{size}"), str(workers)], stdout=subprocess.PIPE, text=True,
            check=True, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path[:1])})
        yield {"spectra": size, "seconds": round(time.monotonic() - begin)} | json.loads(
            done.stdout)


def main(arguments=None):
    """Run, print what is found, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.catalog.faults", description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--spectra", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--memory", type=int, nargs="+", metavar="N")
    parser.add_argument("--workers", type=int, default=1, help="processes, with --memory")
    parser.add_argument("--folder", type=Path, help="for spectra and catalogues (30 kB a spectrum)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        if options.memory:
            for found in measure_memory(Path(folder), options.memory, options.workers):
                print(found, flush=True)
            return 0
        found = kill_workers(Path(folder), options.spectra, options.kills, options.seed)
        print(found)
        return int(not (found["each once"] and found["as undisturbed"]
                        and found["kills"] == options.kills))


if __name__ == "__main__":
    sys.exit(main())
