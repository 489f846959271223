"""Damaged files of every kind that the package reads."""

import gzip
import tempfile
import warnings
from pathlib import Path

import numpy as np
from astropy.io import fits

from .corpus import KINDS, check, good_files, read
from .judge import Violation, judge

__all__ = ["CHANGES", "KINDS", "run"]

#: Kinds of files that are a target of their own.
_ALONE = {"seds": ("sed", "absolute_sed"), "responses": ("response", "response_ecsv"),
          "models": ("model",)}
#: Values of cards that a reader does not expect.
_VALUES = ("", "x", "NaN", "-1", 0, -1, 1e300, -1e-300, True, 2**31, None, 3.5)
#: Names beyond the file's that an error may say.
_WORDS = ("sed", "spectrum", "flux", "wavelength", "pixels", "uncertainty", "resolving_power",
          "radial_velocity", "covariance", "diagonal", "model", "library", "table", "response",
          "area", "column", "rank", "reddening", "spectral axis")


def _cut(data, rng):
    return data[:rng.integers(len(data))]


def _cut_block(data, rng):
    return data[:2880 * int(rng.integers(max(len(data) // 2880, 1)))]


def _flip(data, rng, low=0, high=None):
    array = np.frombuffer(data, dtype=np.uint8).copy()
    high = len(array) if high is None else min(high, len(array))
    for place in rng.integers(low, high, int(rng.choice([1, 1, 3, 30]))):
        array[place] ^= 1 << rng.integers(8)
    return array.tobytes()


def _flip_head(data, rng):
    return _flip(data, rng, 0, 2880 * int(rng.integers(1, 4)))


def _blank(data, rng):
    array = np.frombuffer(data, dtype=np.uint8).copy()
    first = rng.integers(len(array))
    array[first:first + 2 ** int(rng.integers(3, 16))] = rng.choice([0, 32, 255])
    return array.tobytes()


def _digits(data, rng):
    """Other digits in a text, such as a header in JSON."""
    array = np.frombuffer(data[:20000], dtype=np.uint8).copy()
    places = np.flatnonzero((array >= 48) & (array <= 57))
    if places.size:
        array[rng.choice(places, 3)] = rng.choice([48, 57, 45, 46, 101, 34, 123, 91], 3)
    return array.tobytes() + data[20000:]


def _word(data, rng):
    """Another word in a text."""
    words = [b"null", b"NaN", b"Infinity", b"[]", b"{}", b'"x"', b"1e999", b"-1", b"true", b""]
    place = rng.integers(min(len(data), 20000))
    end = place + rng.integers(1, 40)
    return data[:place] + words[rng.integers(len(words))] + data[end:]


def _fits(data, rng, change):
    """Rewrite a FITS file after a change of its HDUs."""
    packed = data[:2] == b"\x1f\x8b"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        hdus = fits.HDUList.fromstring(gzip.decompress(data) if packed else data)
        hdus = change(hdus) or hdus
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "x.fits"
            hdus.writeto(path, output_verify="ignore",
                         checksum=bool(hdus and "CHECKSUM" in hdus[0].header))
            content = path.read_bytes()
    return gzip.compress(content) if packed else content


def _card(data, rng):
    def change(hdus):
        header = hdus[rng.integers(len(hdus))].header
        # astropy would write as many bytes as the sizes say; `flip_head` damages those.
        keys = [key for key in header if key not in ("", "COMMENT", "HISTORY")
                and not key.startswith(("NAXIS", "PCOUNT", "GCOUNT", "BITPIX", "TFORM"))]
        header[keys[rng.integers(len(keys))]] = _VALUES[rng.integers(len(_VALUES))]

    return _fits(data, rng, change)


def _drop_card(data, rng):
    def change(hdus):
        header = hdus[rng.integers(len(hdus))].header
        del header[rng.integers(len(header))]

    return _fits(data, rng, change)


def _drop_hdu(data, rng):
    return _fits(data, rng, lambda hdus: hdus.pop(rng.integers(len(hdus))) and None)


def _column(data, rng):
    """A column of another name, unit or type."""
    def change(hdus):
        places = [i for i, hdu in enumerate(hdus) if isinstance(hdu, fits.BinTableHDU)]
        place = places[rng.integers(len(places))]
        table, header = hdus[place].data, hdus[place].header
        number = int(rng.integers(len(table.columns)))
        column = table.columns[number]
        kind = rng.integers(4)
        if kind == 0:
            hdus[place].columns.change_name(column.name, str(rng.choice(["X", "FLUX", "wave"])))
        elif kind == 1:
            header[f"TUNIT{number + 1}"] = str(rng.choice(["kg", "s", "mag", "Jy", "", "nm", "?"]))
        elif kind == 2:
            columns = [one for one in table.columns if one.name != column.name]
            hdus[place] = fits.BinTableHDU.from_columns(columns, name=hdus[place].name)
        else:
            columns = [one for one in table.columns if one.name != column.name]
            columns.append(fits.Column(column.name, "3A", array=["abc"] * len(table)))
            hdus[place] = fits.BinTableHDU.from_columns(columns, name=hdus[place].name)

    return _fits(data, rng, change)


def _numbers(data, rng):
    """Other numbers in an image or column."""
    def change(hdus):
        hdu = hdus[rng.integers(len(hdus))]
        value = rng.choice([np.nan, np.inf, 0.0, -1.0, 1e300])
        array = hdu.data if isinstance(hdu, (fits.ImageHDU, fits.PrimaryHDU)) else hdu.data[
            hdu.columns.names[rng.integers(len(hdu.columns.names))]]
        with np.errstate(all="ignore"):
            array[rng.random(array.shape) < rng.choice([0.01, 0.5, 1.0])] = value

    return _fits(data, rng, change)


def _shape(data, rng):
    """An image of another shape."""
    def change(hdus):
        places = [i for i, hdu in enumerate(hdus) if hdu.is_image and hdu.data is not None]
        hdu = hdus[places[rng.integers(len(places))]]
        hdu.data = [hdu.data[..., :7], hdu.data.ravel(), hdu.data[None]][rng.integers(3)]

    return _fits(data, rng, change)


def _other(data, rng):
    """The content of another kind of file."""
    return good_files()[sorted(KINDS)[rng.integers(len(KINDS))]]


CHANGES = {
    "cut": _cut, "cut_block": _cut_block, "flip": _flip, "flip_head": _flip_head, "blank": _blank,
    "digits": _digits, "word": _word, "card": _card, "drop_card": _drop_card,
    "drop_hdu": _drop_hdu, "column": _column, "numbers": _numbers, "shape": _shape,
    "other": _other, "empty": lambda data, rng: b"",
    "text": lambda data, rng: b"this is no file\n" * 20,
    "twice": lambda data, rng: data + data,
}


def run(case):
    """Read a damaged file of the kind that the seed names; the outcome."""
    rng = np.random.default_rng(case.seed)
    kinds = _ALONE.get(case.target, sorted(KINDS))
    kind = kinds[rng.integers(len(kinds))]
    data = good = good_files()[kind]
    for change in case.changes:
        before = data
        try:
            data = CHANGES[change](data, rng)
        except Exception:  # astropy cannot read what is damaged already
            data = before
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / KINDS[kind]
        path.write_bytes(data)
        try:
            return judge(lambda: read(kind, path), lambda result: check(kind, result),
                         (path.name, *_WORDS))
        except Violation as found:
            found.args = (f"{kind}: {found.args[0]}",)
            if good is data:
                raise Violation("a good file is refused", kind) from found
            raise
