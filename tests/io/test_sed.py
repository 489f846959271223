"""SED files: everything comes back, other packages read them, damage is found."""

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.nddata import StdDevUncertainty
from astropy.table import QTable, Table
from numpy.testing import assert_array_equal
from specutils import Spectrum
from synphot import SpectralElement
from synphot.models import Box1D

from sedflux import InputError, anchor, covariance_of, predict_sed, with_covariance
from sedflux._version import __version__
from sedflux.io.sed import read_sed, write_sed
from sedflux.predict.flags import flag
from sedflux.spectra.sed import parts_of
from sedflux.units import FLAM

GREEN = SpectralElement(Box1D, amplitude=1.0, x_0=5000.0, width=800.0)


@pytest.fixture(scope="module")
def flagged(predictor, star):
    """An SED of a spectrum with low S/N and a gap, behind dust, of a star with coordinates."""
    wavelength, flux = star
    noisy = flux * (1.0 + 0.3 * np.random.default_rng(2).standard_normal(flux.size))
    header = fits.Header([("RA", 12.5, "[deg]"), ("DEC", -3.25), ("NAXIS", 0)])
    spectrum = Spectrum(spectral_axis=wavelength * u.AA, flux=noisy * u.ct,
                        meta={"object": "HD 1", "header": header})
    sed = predict_sed(spectrum, model=predictor, reddening=(0.1, 0.02))
    assert len(sed.meta["sedflux"]["flags"]) > 1
    return sed


@pytest.fixture(scope="module", params=["relative", "absolute"])
def product(request, flagged):
    if request.param == "relative":
        return flagged
    return anchor(flagged, 17.25 * u.ABmag, GREEN, magnitude_error=0.01 * u.mag)


def assert_same(back, sed):
    """Every number and every word, to the last bit."""
    assert type(back) is type(sed)
    assert back.flux.unit == sed.flux.unit
    assert_array_equal(back.spectral_axis.value, sed.spectral_axis.value)
    assert_array_equal(back.flux.value, sed.flux.value)
    assert_array_equal(back.uncertainty.array, sed.uncertainty.array)
    found, expected = back.meta["sedflux"], sed.meta["sedflux"]
    assert set(found) == set(expected)
    for name in ("model", "sha256", "flags", "flag_names", "flag_bits", "diagnostics",
                 "resolving_power"):
        assert found[name] == expected[name]
    assert_array_equal(covariance_of(back).diagonal, covariance_of(sed).diagonal)
    assert_array_equal(covariance_of(back).factor, covariance_of(sed).factor)
    assert {name: part.tolist() for name, part in parts_of(back).items()} == {
        name: part.tolist() for name, part in parts_of(sed).items()}
    for card in sed.meta["header"].cards:
        assert card.keyword == "DATE" or back.meta["header"][card.keyword] == card.value


def test_everything_comes_back(product, tmp_path):
    write_sed(product, tmp_path / "one.fits")
    product.write(tmp_path / "two.fits")
    product.write(str(tmp_path / "three.fit"))
    for name in ("one.fits", "two.fits", "three.fit"):
        assert_same(read_sed(tmp_path / name), product)
        assert_same(Spectrum.read(tmp_path / name), product)
    again = read_sed(tmp_path / "one.fits")
    again.write(tmp_path / "again.fits")
    assert_same(read_sed(tmp_path / "again.fits"), again)


def test_specutils_reads_the_table_without_sedflux(product, tmp_path):
    product.write(tmp_path / "sed.fits")
    plain = Spectrum.read(tmp_path / "sed.fits", format="tabular-fits")
    assert_array_equal(plain.flux.value, product.flux.value)
    assert_array_equal(plain.uncertainty.array, product.uncertainty.array)
    assert plain.spectral_axis.unit == u.AA
    relative = product.flux.unit == u.dimensionless_unscaled
    assert plain.flux.unit == (u.adu if relative else FLAM)
    header = plain.meta["header"]
    assert header["SEDFLAGS"].split(", ") == list(product.meta["sedflux"]["flag_names"])
    assert header["SEDFBITS"] & flag("low_snr").mask


def test_tables_have_units_and_descriptions(product, tmp_path):
    product.write(tmp_path / "sed.fits")
    table = QTable.read(tmp_path / "sed.fits", hdu="DATA")
    assert table["wavelength"].unit == u.AA
    assert table["flux"].unit == table["uncertainty"].unit
    notes = Table.read(tmp_path / "sed.fits", hdu="DIAGNOSTICS")
    assert notes["teff"].unit == u.K
    with fits.open(tmp_path / "sed.fits") as hdus:
        header, columns = hdus["DIAGNOSTICS"].header, hdus["DIAGNOSTICS"].columns.names
        assert "surface gravity" in header[f"TCOMM{1 + columns.index('logg')}"]
        assert hdus["DATA"].header["TUCD1"] == "em.wl"
    names = Table.read(tmp_path / "sed.fits", hdu="FLAGS")["NAME"]
    assert list(names) == list(product.meta["sedflux"]["flag_names"])


def test_cards_say_what_the_file_is(product, tmp_path):
    product.write(tmp_path / "sed.fits")
    with fits.open(tmp_path / "sed.fits", checksum=True) as hdus:
        header = hdus[0].header
        assert header["SEDHASH"] == product.meta["sedflux"]["sha256"]
        assert (header["ORIGIN"], header["SEDVERS"]) == ("sedflux", __version__)
        assert (header["AIRORVAC"], header["SEDRES"]) == ("vac", 200.0)
        assert (header["OBJECT"], header["RA"], header["DEC"]) == ("HD 1", 12.5, -3.25)
        assert (header["SEDEBV"], header["SEDEBVER"], header["SEDLAW"]) == (0.1, 0.02, "G23")
        if not header["SEDREL"]:
            assert (header["SEDMAG"], header["SEDMAGER"]) == (17.25, 0.01)
            assert abs(header["SEDPIVOT"] - 5000.0) < 30.0
        covariance = hdus["DIAGONAL"]
        assert covariance.header["COVOF"] == "ln(flux)"
        dense = np.diag(covariance.data) + hdus["FACTOR"].data.T @ hdus["FACTOR"].data
        assert covariance.header["COVFORM"].endswith("- REMOVED^T REMOVED") == ("REMOVED" in hdus)
        if "REMOVED" in hdus:
            dense -= hdus["REMOVED"].data.T @ hdus["REMOVED"].data
        np.testing.assert_allclose(
            np.sqrt(np.diag(dense)) * product.flux.value, product.uncertainty.array, rtol=1e-12)


def test_other_units_and_other_spectra(product, spectrum, tmp_path):
    changed = (2.0 * product)[50:300].with_spectral_axis_unit(u.THz)
    changed.write(tmp_path / "changed.fits")
    back = Spectrum.read(tmp_path / "changed.fits")
    assert back.spectral_axis.unit == u.THz
    assert_array_equal(back.flux.value, changed.flux.value)
    np.testing.assert_allclose(covariance_of(back).sigma, changed.uncertainty.array)
    measured = Spectrum(spectral_axis=[5000, 5010, 5030] * u.AA, flux=[1.0, 2.0, 1.5] * u.Jy)
    measured.write(tmp_path / "plain.fits")
    assert "sedflux" not in Spectrum.read(tmp_path / "plain.fits").meta
    with_covariance(measured, 0.01 * np.eye(3)).write(tmp_path / "star.fits")
    assert_array_equal(covariance_of(Spectrum.read(tmp_path / "star.fits")).rank, 3)


def test_written_files_are_not_lost(product, tmp_path):
    product.write(tmp_path / "sed.fits")
    with pytest.raises(InputError, match="overwrite=True"):
        (2.0 * product).write(tmp_path / "sed.fits")
    (2.0 * product).write(tmp_path / "sed.fits", overwrite=True)
    assert_array_equal(read_sed(tmp_path / "sed.fits").flux.value, 2.0 * product.flux.value)
    with pytest.raises(InputError, match="options wunit"):
        product.write(tmp_path / "other.fits", wunit="nm")
    assert not (tmp_path / "other.fits").exists()


@pytest.mark.parametrize("name", ["DATA", "DIAGONAL", "FACTOR", "REMOVED", "PART reddening",
                                  "FLAGS", "DIAGNOSTICS"])
def test_a_missing_extension_is_found(product, tmp_path, name):
    product.write(tmp_path / "sed.fits")
    with fits.open(tmp_path / "sed.fits") as hdus:
        if name not in hdus:
            pytest.skip("no magnitude took anything away from a relative SED")
        del hdus[name]
        hdus.writeto(tmp_path / "cut.fits", checksum=True)
    with pytest.raises(InputError, match=f"its extension {name.upper()} is missing"):
        read_sed(tmp_path / "cut.fits")


def test_cut_and_changed_files_are_refused(product, tmp_path):
    """Cut at every block, or with one byte changed: refused, or nothing has changed."""
    product.write(tmp_path / "sed.fits")
    whole = (tmp_path / "sed.fits").read_bytes()
    path = tmp_path / "damaged.fits"
    for end in range(2880, len(whole), 2880):
        path.write_bytes(whole[:end])
        with pytest.raises(InputError, match="damaged"):
            read_sed(path)
    rng = np.random.default_rng(4)
    for place in rng.integers(0, len(whole), 60):
        changed = bytearray(whole)
        changed[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(changed)
        try:
            back = read_sed(path)
        except InputError:
            continue
        assert_same(back, product)


def test_older_files_are_read(product, tmp_path):
    """Files of sedflux 0.1: a covariance of the flux, without checksums."""
    covariance = covariance_of(product).rounded_up()
    sigma = StdDevUncertainty(covariance.sigma, unit=product.flux.unit)
    Spectrum(spectral_axis=product.spectral_axis, flux=product.flux, uncertainty=sigma,
             meta=product.meta).write(tmp_path / "table.fits", format="tabular-fits")
    with fits.open(tmp_path / "table.fits") as hdus:
        hdus.append(fits.ImageHDU(covariance.diagonal, name="DIAGONAL"))
        hdus["DIAGONAL"].header["SEDRES"] = 200.0
        hdus.append(fits.ImageHDU(covariance.factor, name="FACTOR"))
        hdus.writeto(tmp_path / "old.fits")
    back = Spectrum.read(tmp_path / "old.fits")
    np.testing.assert_allclose(covariance_of(back).to_dense(), covariance.to_dense(), rtol=1e-9,
                               atol=1e-12 * covariance.diagonal.max())
    assert back.meta["sedflux"]["resolving_power"] == 200.0


def test_a_row_of_several_stars_is_a_whole_product(predictor, star, tmp_path):
    """Flags, dust and velocity of the row, not of another star, and not none."""
    wavelength, flux = star
    line = 3.0 * flux.mean() * np.exp(-0.5 * ((wavelength - 6564.6) / 4.0) ** 2)
    spectra = Spectrum(spectral_axis=wavelength * u.AA, flux=[flux, flux + line] * u.ct,
                       uncertainty=StdDevUncertainty([0.02 * flux, 0.02 * flux]))
    seds = predict_sed(spectra, model=predictor, reddening=(0.1, 0.02),
                       radial_velocity=[0.0, 5.0] * u.km / u.s)
    for row, names in enumerate(((), ("emission",))):
        one = predict_sed(Spectrum(spectral_axis=wavelength * u.AA, flux=spectra.flux[row],
                                   uncertainty=spectra.uncertainty[row]),
                          model=predictor, reddening=(0.1, 0.02),
                          radial_velocity=5.0 * row * u.km / u.s)
        for sed in (seds[row], 2.0 * seds[row], anchor(seds[row], 12.0 * u.ABmag, GREEN)):
            sed.write(tmp_path / "row.fits", overwrite=True)
            back = Spectrum.read(tmp_path / "row.fits")
            notes, header = back.meta["sedflux"], back.meta["header"]
            assert notes["flag_names"] == names
            for name in ("flags", "flag_bits"):
                assert notes[name] == one.meta["sedflux"][name]
            for card in ("SEDEBV", "SEDEBVER", "SEDLAW", "SEDRV", "SEDRPOW", "SEDFBITS"):
                assert header[card] == one.meta["header"][card]
            assert_array_equal(covariance_of(back).sigma, covariance_of(sed).sigma)
            assert "reddening" in parts_of(back)
    changed = with_covariance(seds[1], 0.01 * np.eye(seds.flux.shape[1]))
    assert changed.meta["sedflux"]["flag_names"] == ("emission",)
