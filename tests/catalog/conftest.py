"""Files in LAMOST's layout, and what may lie between them in a folder."""

import gzip

import numpy as np
import pytest
from astropy.io import fits

pytest.importorskip("zarr")
pytest.importorskip("distributed")


@pytest.fixture(scope="session")
def write_lamost(star):
    """A function that writes a noisy spectrum of the demo star in LAMOST's image layout."""
    wavelength, flux = star

    def write(path, seed, *, snr=40.0, redshift=1e-4, **cards):
        rng = np.random.default_rng(seed)
        start, size = 3.5682, 3909
        pixels = 10 ** (start + 1e-4 * np.arange(size))
        shape = np.interp(pixels / (1.0 + redshift), wavelength, flux) * 1e3
        data = np.zeros((5, size), dtype=np.float32)
        data[0] = shape * (1.0 + rng.standard_normal(size) / snr)
        data[1], data[2] = (snr / shape) ** 2, pixels
        header = fits.Header([("ORIGIN", "NAOC-LAMOST"), ("COEFF0", start), ("COEFF1", 1e-4),
                              ("Z", redshift), ("CLASS", "STAR"), ("RA", 10.0 + seed),
                              ("DEC", -5.0), ("DESIG", f"LAMOST {seed}"), *cards.items()])
        fits.PrimaryHDU(data, header=header).writeto(path, output_verify="exception")
        return path

    return write


@pytest.fixture(scope="session")
def survey(write_lamost, tmp_path_factory):
    """A folder of ten spectra in two subfolders, half of them packed."""
    folder = tmp_path_factory.mktemp("survey")
    for seed in range(10):
        plate = folder / f"plate{seed % 2}"
        plate.mkdir(exist_ok=True)
        path = write_lamost(plate / f"spec-{seed:03d}.fits", seed, snr=4.0 if seed == 7 else 40.0,
                            redshift=1e-4 * (seed - 5))
        if seed % 2:
            (plate / f"spec-{seed:03d}.fits.gz").write_bytes(gzip.compress(path.read_bytes()))
            path.unlink()
    return folder
