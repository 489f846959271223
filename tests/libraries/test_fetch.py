"""Fetching libraries, from a server on this machine, with small files in the same layouts."""

import gzip
import hashlib
import re
import socket
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from numpy.testing import assert_allclose, assert_array_equal

from sedflux import InputError, WeightsError
from sedflux.cli.main import main
from sedflux.libraries import read_library
from sedflux.libraries.archive import list_files, parse_selection
from sedflux.libraries.bosz import read_bosz
from sedflux.libraries.fetch import HASHES, fetch_files

WAVELENGTH = np.geomspace(1000.0, 20000.0, 3000)
CHOICE = ["TEFF=5000:5500", "LOGG=4:4.5", "MH=0"]


class Quiet(SimpleHTTPRequestHandler):
    requests: ClassVar = []
    broken: ClassVar = set()
    cut: ClassVar = set()

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.requests.append(self.path)
        name = self.path.rsplit("/", 1)[-1]
        if name in self.broken:
            self.send_error(503)
        elif name in self.cut:
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"x" * 500)
        else:
            super().do_GET()


@pytest.fixture
def server(tmp_path):
    folder = tmp_path / "served"
    folder.mkdir()
    Quiet.requests.clear()
    Quiet.broken.clear()
    Quiet.cut.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True)
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


def test_an_interrupted_fetch_resumes(server, tmp_path):
    url, folder = server
    files = list_files("bosz2017", select=CHOICE)
    serve(folder, files)
    Quiet.broken.add(files[2].filename)
    with pytest.raises(WeightsError, match=r"(?s)1 of 6 files .* run the same command again"):
        fetch_files("bosz2017", files, tmp_path / "here", base_url=url)
    Quiet.broken.clear()
    Quiet.requests.clear()
    assert fetch_files("bosz2017", files, tmp_path / "here", base_url=url) == files
    assert [Path(request).name for request in Quiet.requests] == [files[2].filename]


def test_files_that_the_archive_lacks_are_left_out(server, tmp_path):
    url, folder = server
    files = list_files("bosz2017", select=CHOICE)
    serve(folder, files[1:])
    present = fetch_files("bosz2017", files, tmp_path / "here", base_url=url)
    assert present == files[1:]
    assert len(read_bosz("bosz2017", present, tmp_path / "here")) == 5
    with pytest.raises(WeightsError, match="has none of them"):
        fetch_files("bosz2017", files[:1], tmp_path / "here", base_url=url)


def test_damaged_file_is_named(server, tmp_path):
    url, folder = server
    files = list_files("bosz2024", select=CHOICE)
    serve(folder, files)
    fetch_files("bosz2024", files, tmp_path / "here", base_url=url)
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


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_nothing_is_left_of_files_that_fail(server, tmp_path):
    """Neither of a file that the archive lacks, nor of one that breaks off."""
    url, folder = server
    (folder / "a.fits").write_bytes(b"star")
    (folder / "cut.fits").write_bytes(b"x" * 1000)
    Quiet.cut.add("cut.fits")
    files = list_files("calspec", files=["a.fits", "absent.fits", "cut.fits"])
    with pytest.raises(WeightsError, match=r"(?s)2 of 3 files .*cut\.fits: "):
        fetch_files("calspec", files, tmp_path / "here", base_url=url)
    assert names_in(tmp_path / "here") == [HASHES, "a.fits"]


def test_changed_files_are_fetched_again(server, tmp_path, caplog):
    url, folder = server
    files = list_files("calspec", files=["a.fits", "b.fits", "c.fits"])
    for file in files:
        (folder / file.path).write_bytes(b"star " + file.path.encode())
    here = tmp_path / "here"
    fetch_files("calspec", files, here, base_url=url)
    listed = dict(line.split("  ")[::-1] for line in (here / HASHES).read_text().splitlines())
    assert listed == {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
                      for path in folder.iterdir()}
    (here / "a.fits").write_bytes(b"sta")
    Quiet.requests.clear()
    assert fetch_files("calspec", files, here, base_url=url) == files
    assert Quiet.requests == ["/a.fits"]
    assert (here / "a.fits").read_bytes() == b"star a.fits"
    assert "has changed since it was downloaded" in caplog.text


def test_a_file_that_changed_at_the_archive_is_reported(server, tmp_path, caplog):
    url, folder = server
    files = list_files("calspec", files=["a.fits"])
    (folder / "a.fits").write_bytes(b"first")
    fetch_files("calspec", files, tmp_path / "here", base_url=url)
    (tmp_path / "here" / "a.fits").unlink()
    (folder / "a.fits").write_bytes(b"second")
    fetch_files("calspec", files, tmp_path / "here", base_url=url)
    assert "differs from the file that was downloaded before" in caplog.text
    assert hashlib.sha256(b"second").hexdigest() in (tmp_path / "here" / HASHES).read_text()


@pytest.mark.parametrize("name", ["..", ".", "", "../x.fits", "a/b.fits", "/etc/passwd", "..\\x",
                                  "a.fits?x=1"])
def test_names_with_folders_are_refused(name, capsys, tmp_path):
    with pytest.raises(InputError, match=r"give the name alone|is not allowed"):
        list_files("calspec", files=[name])
    assert main(["fetch-library", "calspec", name, "--folder", str(tmp_path / "here")]) != 0
    assert not (tmp_path / "here").exists()


def test_stars_without_names_are_refused():
    with pytest.raises(InputError, match="give their names"):
        list_files("calspec")


def test_bad_folders_and_workers(tmp_path):
    files = list_files("calspec", files=["a.fits"])
    (tmp_path / "file").write_text("here")
    with pytest.raises(InputError, match="cannot be made"):
        fetch_files("calspec", files, tmp_path / "file")
    with pytest.raises(InputError, match="workers is 0; 1 or more"):
        fetch_files("calspec", files, tmp_path, workers=0)
    with pytest.raises(InputError, match="choose one of bosz2017"):
        fetch_files("kurucz", files, tmp_path)
    (tmp_path / HASHES).write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"no list of hashes .* remove it"):
        fetch_files("calspec", files, tmp_path)


def test_offline_message_names_the_address(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(WeightsError) as caught:
        fetch_files("calspec", list_files("calspec", files=["a.fits"]), tmp_path, base_url=dead)
    assert f"{dead}/a.fits: ConnectionError" in str(caught.value)
    assert "--base-url" in str(caught.value)
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("damage", [b"", b"no table", b"\x1f\x8b broken"])
@pytest.mark.parametrize("name", ["bosz2017", "bosz2024"])
def test_damaged_models_are_named(name, damage, server, tmp_path):
    url, folder = server
    files = list_files(name, select=CHOICE)
    serve(folder, files)
    fetch_files(name, files, tmp_path / "here", base_url=url)
    (tmp_path / "here" / files[-1].filename).write_bytes(damage)
    with pytest.raises(InputError, match=rf"{re.escape(files[-1].filename)} .*fetch it again"):
        read_bosz(name, files, tmp_path / "here")


def test_models_need_their_wavelengths(server, tmp_path):
    url, folder = server
    files = list_files("bosz2024", select=CHOICE)
    serve(folder, files)
    present = fetch_files("bosz2024", files[1:], tmp_path / "here", base_url=url)
    with pytest.raises(InputError, match="lacks the wavelengths"):
        read_bosz("bosz2024", present, tmp_path / "here")
    with pytest.raises(InputError, match="fetch it first"):
        read_bosz("bosz2024", files, tmp_path / "here")
    with pytest.raises(InputError, match="select some"):
        read_bosz("bosz2024", files[:1], tmp_path / "here")


def test_models_that_a_server_unpacked_are_read(server, tmp_path):
    url, folder = server
    files = list_files("bosz2024", select=CHOICE)
    serve(folder, files)
    fetch_files("bosz2024", files, tmp_path / "here", base_url=url)
    packed = read_bosz("bosz2024", files, tmp_path / "here")
    path = tmp_path / "here" / files[1].filename
    path.write_bytes(gzip.decompress(path.read_bytes()))
    assert_array_equal(read_bosz("bosz2024", files, tmp_path / "here").flux, packed.flux)


def test_stars_are_asked_for_by_name(server, tmp_path):
    url, folder = server
    (folder / "alpha_lyr_stis_011.fits").write_bytes(b"star")
    files = list_files("calspec", files=["alpha_lyr_stis_011.fits"])
    fetch_files("calspec", files, tmp_path / "here", base_url=url)
    assert (tmp_path / "here" / files[0].filename).read_bytes() == b"star"


@pytest.mark.parametrize("term", ["TEFF", "TEFF=a", "TEFF=6000:5000", "COLOUR=1"])
def test_bad_selections(term):
    with pytest.raises(InputError, match=r"LABEL=LOW:HIGH"):
        parse_selection([term])


def test_unknown_archives_and_empty_selections():
    with pytest.raises(InputError, match="choose one of bosz2017"):
        list_files("kurucz")
    with pytest.raises(InputError, match="widen it"):
        list_files("bosz2024", select=["TEFF=1000:1100"])


def test_resolving_power_of_files():
    assert list_files("bosz2017", select=CHOICE, resolving_power=2000.0)[0].path.startswith(
        "insbroad_002000/")
    for power in (0, -5, 2000.5, "high"):
        with pytest.raises(InputError, match="resolving_power is"):
            list_files("bosz2017", select=CHOICE, resolving_power=power)
