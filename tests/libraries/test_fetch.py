"""Fetching libraries, from a server on this machine, of small files in the same layouts."""

import gzip
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from numpy.testing import assert_allclose

from sedflux import InputError, WeightsError
from sedflux.cli.main import main
from sedflux.libraries import read_library
from sedflux.libraries.archive import list_files, parse_selection
from sedflux.libraries.fetch import fetch_files, read_bosz

WAVELENGTH = np.geomspace(1000.0, 20000.0, 3000)
CHOICE = ["TEFF=5000:5500", "LOGG=4:4.5", "MH=0"]


class Quiet(SimpleHTTPRequestHandler):
    requests: ClassVar = []
    broken: ClassVar = set()

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.requests.append(self.path)
        if self.path.rsplit("/", 1)[-1] in self.broken:
            self.send_error(503)
        else:
            super().do_GET()


@pytest.fixture
def server(tmp_path):
    folder = tmp_path / "served"
    folder.mkdir()
    Quiet.requests.clear()
    Quiet.broken.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}", folder
        httpd.shutdown()
        thread.join()


def flux_of(labels):
    return 1e6 * (labels[0] / 5000.0) ** 4 * (1.0 + 0.1 * np.sin(WAVELENGTH / 500.0 + labels[1]))


def serve(folder, files):
    """Small files in the layouts of both editions of BOSZ."""
    for file in files:
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        if not file.labels:
            np.savetxt(path, WAVELENGTH)
        elif path.suffix == ".fits":
            table = Table({"Wavelength": WAVELENGTH, "SpecificIntensity": flux_of(file.labels),
                           "Continuum": np.ones(WAVELENGTH.size)})
            fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU(table)]).writeto(path)
        else:
            with gzip.open(path, "wt") as stream:
                np.savetxt(stream, np.column_stack([flux_of(file.labels), np.ones(3000)]))


@pytest.mark.parametrize("name", ["bosz2017", "bosz2024"])
def test_from_archive_to_library(name, server, tmp_path, capsys):
    url, folder = server
    files = list_files(name, select=CHOICE)
    serve(folder, files)
    output = tmp_path / "library.fits"
    assert main(["fetch-library", name, "--select", *CHOICE, "--folder", str(tmp_path / "here"),
                 "--output", str(output), "--base-url", url]) == 0
    assert "6 models" in capsys.readouterr().out
    library = read_library(output)
    assert len(library) == 6
    assert library.resolving_power == 5000.0
    inside = (WAVELENGTH > 2440) & (WAVELENGTH < 10600)
    for row, labels in zip(library.flux, library.labels, strict=True):
        assert_allclose(row, flux_of(labels)[inside], rtol=1e-5)


def test_fetch_goes_on_where_it_stopped(server, tmp_path):
    url, folder = server
    files = list_files("bosz2017", select=CHOICE)
    serve(folder, files)
    Quiet.broken.add(files[2].filename)
    with pytest.raises(WeightsError, match=r"(?s)1 of 6 files .* run the same command again"):
        fetch_files("bosz2017", files, tmp_path / "here", base_url=url, progress=False)
    Quiet.broken.clear()
    Quiet.requests.clear()
    assert fetch_files("bosz2017", files, tmp_path / "here", base_url=url,
                       progress=False) == files
    assert [Path(request).name for request in Quiet.requests] == [files[2].filename]


def test_files_that_the_archive_lacks_are_left_out(server, tmp_path):
    url, folder = server
    files = list_files("bosz2017", select=CHOICE)
    serve(folder, files[1:])
    present = fetch_files("bosz2017", files, tmp_path / "here", base_url=url, progress=False)
    assert present == files[1:]
    assert len(read_bosz("bosz2017", present, tmp_path / "here")) == 5
    with pytest.raises(WeightsError, match="has none of them"):
        fetch_files("bosz2017", files[:1], tmp_path / "here", base_url=url, progress=False)


def test_damaged_file_is_named(server, tmp_path):
    url, folder = server
    files = list_files("bosz2024", select=CHOICE)
    serve(folder, files)
    fetch_files("bosz2024", files, tmp_path / "here", base_url=url, progress=False)
    with gzip.open(tmp_path / "here" / files[1].filename, "wt") as stream:
        stream.write("1.0 1.0\n2.0 1.0\n")
    with pytest.raises(InputError, match=r"has 2 samples .* fetch it again"):
        read_bosz("bosz2024", files, tmp_path / "here")


def test_names_follow_the_rules_of_the_archive():
    """Names as the archive itself lists them."""
    first = list_files("bosz2017", select=["TEFF=3500", "LOGG=0", "MH=-2.5"], resolving_power=2000)
    assert first[0].path == ("insbroad_002000/metal_-2.50/carbon_+0.00/alpha_+0.00/"
                             "amm25cp00op00t3500g00v20modrt0b2000rs.fits")
    last = list_files("bosz2017", select=["TEFF=35000", "LOGG=0:5", "MH=0.25"])
    assert [file.labels[1] for file in last] == [3.5, 4.0, 4.5, 5.0]
    assert "amp03cp00op00t35000g50v20" in last[-1].filename
    # The archive lists 5901 of these; the rules promise 14 more.
    assert len(list_files("bosz2017", select=["TEFF=3500:35000", "MH=-2.5:0.5"],
                          resolving_power=2000)) == 5915
    giant = list_files("bosz2024", select=["TEFF=5000", "LOGG=2.5", "MH=0"], resolving_power=500)
    assert giant[1].path == ("r500/m+0.00/bosz2024_ms_t5000_g+2.5_m+0.00_a+0.00_c+0.00_v2_r500_"
                             "resam.txt.gz")


def test_stars_are_asked_for_by_name(server, tmp_path):
    url, folder = server
    (folder / "alpha_lyr_stis_011.fits").write_bytes(b"star")
    files = list_files("calspec", files=["alpha_lyr_stis_011.fits"])
    fetch_files("calspec", files, tmp_path / "here", base_url=url, progress=False)
    assert (tmp_path / "here" / files[0].filename).read_bytes() == b"star"


@pytest.mark.parametrize("term", ["TEFF", "TEFF=a", "TEFF=6000:5000", "COLOUR=1"])
def test_bad_selections(term):
    with pytest.raises(InputError, match=r"LABEL=LOW:HIGH"):
        parse_selection([term])


def test_unknown_archives_and_empty_choices():
    with pytest.raises(InputError, match="choose one of bosz2017"):
        list_files("kurucz")
    with pytest.raises(InputError, match="widen it"):
        list_files("bosz2024", select=["TEFF=1000:1100"])
