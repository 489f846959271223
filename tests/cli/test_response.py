"""``sedflux simulate``, ``sedflux response fit`` and ``apply``, end to end."""

import numpy as np
import pytest
from astropy.table import Table
from numpy.testing import assert_allclose
from specutils import Spectrum

from sedflux import ResponseCurve, covariance_of, get_instrument, read_throughput
from sedflux.cli.main import main
from sedflux.io.sed import read_sed


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("field")
    assert main(["simulate", "--stars", "12", "--seed", "3", "-o", str(path)]) == 0
    return path


def fit(folder, output, *more):
    return main(["response", "fit", "--spectra", str(folder / "counts" / "GV"), "--seds",
                 str(folder / "seds"), "--wavelength-error", "0.5", "-o", str(output), *more])


def test_from_the_shell_to_calibrated_spectra(folder, tmp_path, capsys):
    output = tmp_path / "gv.fits"
    assert fit(folder, output, "--instrument", "lookalike", "--band", "GV", "--plot") == 0
    said = capsys.readouterr().out
    assert "12 stars with spectrum and SED" in said
    assert "response good over" in said
    assert "errors taken for granted: grey_error 0.01, wavelength_error 0.5" in said
    assert (tmp_path / "gv.png").stat().st_size > 10_000
    response = ResponseCurve.read(output)
    truth = get_instrument("lookalike").bands["GV"].throughput(response.wavelength)
    assert np.abs(response.throughput / truth - 1.0)[response.good].mean() < 0.03
    spectra = [str(folder / "counts" / "GV" / f"star000{i}.fits") for i in (1, 2)]
    assert main(["response", "apply", str(output), *spectra, "-o", str(tmp_path / "cal")]) == 0
    result = Spectrum.read(tmp_path / "cal" / "star0001.fits", format="tabular-fits")
    assert result.flux.unit.is_equivalent("erg / (s cm2 Angstrom)")
    assert covariance_of(read_sed(tmp_path / "cal" / "star0001.fits")).rank > 1


# The shell prints warnings; here they must not become errors first.
@pytest.mark.filterwarnings("always:the residuals of the fit")
def test_other_layouts_and_field_terms(folder, tmp_path, capsys):
    output = tmp_path / "sens.fits"
    # The line-spread function of the band is no R = 230, and the fit sees it.
    assert fit(folder, output, "--area", "31415.93", "--resolving-power", "230", "--format",
               "axe") == 0
    assert "width of the line-spread function" in capsys.readouterr().err
    assert read_throughput(output, area=get_instrument("csst").bands["GV"].area).value.max() < 0.6
    assert fit(folder, tmp_path / "r.ecsv", "--instrument", "lookalike", "--band", "GV",
               "--position", "1", "--time", "--stars", str(folder / "truth.ecsv"),
               "--common", "fitted=shift", "background=0.1") == 0
    assert "fitted shift: " in capsys.readouterr().out
    assert ResponseCurve.read(tmp_path / "r.ecsv").field.position == 1


def test_simulation_with_a_throughput_of_ones_own(tmp_path):
    wavelength = np.linspace(2500.0, 4100.0, 50)
    Table({"wavelength": wavelength, "throughput": np.full(50, 0.2)}).write(tmp_path / "gu.ecsv")
    assert main(["simulate", "--instrument", "csst", "--throughput", f"GU={tmp_path / 'gu.ecsv'}",
                 "--stars", "2", "-o", str(tmp_path / "out")]) == 0
    back = read_throughput(tmp_path / "out" / "throughput_GU.ecsv")
    assert_allclose(back(np.array([3000.0])), 0.2)
    assert len(list((tmp_path / "out" / "counts" / "GU").iterdir())) == 2


@pytest.mark.parametrize(("more", "message"), [
    (["--instrument", "csst", "--band", "GX"], "GU, GV, GI"),
    (["--instrument", "hubble", "--band", "GV"], "unknown"),
    ([], "area is None"),
    (["--area", "1e4", "--position", "1"], "--stars TABLE"),
])
def test_what_cannot_be_is_told(folder, tmp_path, capsys, more, message):
    assert fit(folder, tmp_path / "r.fits", *more) == 2
    assert message in capsys.readouterr().err


def test_files_that_do_not_fit_are_told(folder, tmp_path, capsys):
    assert main(["response", "fit", "--spectra", str(folder / "counts" / "GV"), "--seds",
                 str(tmp_path), "--area", "1", "-o", "x"]) == 2
    assert "none of the 12 spectra" in capsys.readouterr().err
    (tmp_path / "star0000.fits").write_text("no FITS")
    assert main(["response", "fit", "--spectra", str(tmp_path / "star0000.fits"), "--seds",
                 str(folder / "seds"), "--area", "1", "-o", "x"]) == 2
    assert "cannot be read" in capsys.readouterr().err
    assert main(["response", "apply", str(tmp_path / "no.fits"), "y.fits", "-o", "z"]) == 2
    assert main(["simulate", "--instrument", "csst", "-o", str(tmp_path / "o")]) == 2
    assert "--throughput BAND=FILE" in capsys.readouterr().err
