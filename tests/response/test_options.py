"""Options of a fit: defaults, units, and wrong values."""

import inspect

import numpy as np
import pytest
from astropy import units as u
from astropy.nddata import StdDevUncertainty, UnknownUncertainty, VarianceUncertainty
from numpy.testing import assert_allclose, assert_array_equal
from specutils import Spectrum

from sedflux import FieldTerms, InputError, ResponseCurve, fit_response, fit_responses
from sedflux.cli.main import main
from sedflux.response.counts import count_arrays
from sedflux.response.options import Options

RATE = u.electron / u.s


@pytest.fixture(scope="module")
def band(bands):
    return bands["GV"]


@pytest.fixture(scope="module")
def stars(sky):
    """Six stars: counts and SEDs."""
    return sky.counts["GV"][:6], sky.seds[:6]


def test_defaults_have_one_home():
    found = inspect.signature(fit_response).parameters
    shared = [name for name in Options.__dataclass_fields__ if name in found]
    assert len(shared) == 11
    assert all(found[name].default == getattr(Options, name) for name in shared)


def test_the_shell_has_the_defaults_of_python(capsys):
    with pytest.raises(SystemExit):
        main(["response", "fit", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert f"aperture losses (default: {Options.grey_error:g})" in shown
    assert f"zero points (default: {Options.wavelength_error.value:g} pix)" in shown


def test_units_of_wavelengths(stars, band):
    plain = fit_response(*stars, band=band, wavelength_error=0.5, knot_spacing=30.0)
    with_unit = fit_response(*stars, band=band, wavelength_error=0.05 * u.nm,
                             knot_spacing=3.0 * u.nm)
    assert_allclose(plain.throughput, with_unit.throughput, rtol=1e-10)
    wavelength = np.linspace(4500.0, 6000.0, 5)
    nanometres = 0.1 * wavelength * u.nm
    assert_allclose(plain.evaluate(nanometres)[0], plain.evaluate(wavelength)[0], rtol=1e-12)
    assert_allclose(plain.basis(nanometres), plain.basis(wavelength), atol=1e-12)
    for wrong in ("blue", [[4500.0, 5000.0]], [4500.0, np.nan], 3.0 * u.s):
        with pytest.raises(InputError, match="wavelength "):
            plain.evaluate(wrong)


WRONG_NUMBERS = ("0.01", [0.01, 0.02], np.array([0.01]), True, -1.0, np.nan, 1j, 0.01 * u.s,
                 {"a": 1})
NUMBERS = ("grey_error", "wavelength_error", "truth_scale", "min_stars", "knot_spacing",
           "smoothness", "sed_resolving_power", "resolving_power")


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", WRONG_NUMBERS, ids=repr)
def test_wrong_numbers_are_refused(stars, band, name, value):
    if name == "resolving_power" and isinstance(value, np.ndarray):
        return
    with pytest.raises(InputError, match=name):
        fit_response(*stars, band=band, **{name: value})


@pytest.mark.parametrize(("options", "message"), [
    ({"grey_error": None}, "grey_error is None"),
    ({"wavelength_error": None}, "wavelength_error is None"),
    ({"truth_scale": None}, "truth_scale is None"),
    ({"min_stars": None}, "min_stars is None"),
    ({"robust": "no"}, "robust is 'no'"),
    ({"robust": None}, "robust is None"),
    ({"robust": 1}, "robust is 1"),
    ({"covariance": None}, "covariance is None"),
    ({"covariance": np.eye(2)}, "covariance is array"),
    ({"library_error": "none"}, "library_error"),
    ({"library_error": None}, "library_error"),
    ({"library_error": 0.01}, "library_error"),
    ({"library_error": [(4000.0, 0.01), (5000.0,)]}, "library_error"),
    ({"library_error": [(5000.0, 0.01), (4000.0, 0.01)]}, "library_error"),
    ({"library_error": [(4000.0, -0.01)]}, "library_error"),
    ({"library_error": [(4000.0, np.nan)]}, "library_error"),
    ({"area": 5}, "area is 5; a Quantity"),
    ({"area": "5 m2"}, "area is '5 m2'"),
    ({"area": [1.0, 2.0] * u.m**2}, "area is"),
    ({"area": -1.0 * u.m**2}, "area is -1"),
    ({"area": 3.0 * u.m}, "area is 3.0 m|area is <Quantity 3. m>"),
    ({"band": "GV"}, "band is a str"),
    ({"line_spread": 200.0}, "line_spread is a float"),
    ({"second_order": 0.1}, "second_order is a float"),
    ({"names": "abcdef"}, "names is 'abcdef'"),
    ({"names": 6}, "names is 6"),
    ({"names": ["a", "b"]}, "names has 2 different entries for 6 stars"),
    ({"exclude": ["0"]}, "exclude is"),
    ({"exclude": {"seven": "a double star"}}, "exclude has the star 'seven'"),
    ({"field": "x"}, "field is a str"),
    ({"field": FieldTerms(position=1), "stars": 3}, "need 'x'"),
    ({"field": FieldTerms(position=1), "stars": {"x": list("abcdef"), "y": [0.0] * 6}},
     "x of the stars"),
    ({"field": FieldTerms(position=1), "stars": {"x": [1.0] * 6, "y": [0.0] * 5}},
     "6 x, 5 y"),
    ({"field": FieldTerms(epoch=True), "stars": {"epoch": [0.5]}}, "describes 1 stars"),
    ({"saturation": 900.0}, "saturation is 900"),
    ({"saturation": True}, "saturation is True"),
    ({"saturation": [1.0, 2.0] * RATE}, "saturation is"),
    ({"saturation": -1.0 * RATE}, "saturation is -1"),
    ({"saturation": 900.0 * u.adu / u.s}, "multiply the one in ADU by the gain"),
], ids=repr)
def test_options_of_the_wrong_type_are_refused(stars, band, options, message):
    with pytest.raises(InputError, match=message):
        fit_response(*stars, **({"band": band} | options))


def test_two_line_spread_functions_are_refused(stars, band):
    with pytest.raises(InputError, match="give one of them"):
        fit_response(*stars, band=band, line_spread=band.line_spread, resolving_power=200.0)


@pytest.mark.parametrize("spacing", [1e-3 * u.AA, 1e-12, 0.1 * u.AA])
def test_knots_are_bounded(stars, band, spacing):
    """A spacing of 0.001 Angstrom would need 31 GiB."""
    with pytest.raises(InputError, match=r"knot_spacing is .* more than [0-9]+ knots"):
        fit_response(*stars, band=band, knot_spacing=spacing)


def test_few_knots_are_allowed(stars, band):
    response = fit_response(*stars, band=band, knot_spacing=1e9, robust=False)
    assert len(set(response.knots)) < 10


def changed(spectrum, **changes):
    """The same spectrum with another flux, uncertainty or axis."""
    given = {"spectral_axis": spectrum.spectral_axis, "flux": spectrum.flux,
             "uncertainty": spectrum.uncertainty, "mask": spectrum.mask}
    return Spectrum(**(given | changes))


def test_pixels_with_negative_uncertainties_are_bad(stars, band):
    counts, seds = list(stars[0]), stars[1]
    sigma = counts[2].uncertainty.array
    counts[2] = changed(counts[2], uncertainty=StdDevUncertainty(-sigma))
    response = fit_response(counts, seds, band=band)
    assert str(response.stars["kind"][list(response.stars["name"]).index("2")]) == "unusable"
    some = np.where(np.arange(sigma.size) % 7 == 0, -sigma, sigma)
    spectrum = changed(stars[0][2], uncertainty=StdDevUncertainty(some))
    assert np.isinf(count_arrays(spectrum, "counts")[2][::7]).all()
    with pytest.raises(InputError, match=r"counts\[0\]: uncertainty is a UnknownUncertainty"):
        fit_response([changed(counts[0], uncertainty=UnknownUncertainty(sigma))], seds[:1],
                     band=band)


def test_uncertainties_follow_their_unit(stars):
    spectrum = stars[0][0]
    unit = spectrum.flux.unit
    variance = spectrum.uncertainty.array**2
    per_minute = VarianceUncertainty(3600.0 * variance * (unit * u.s / u.min) ** 2)
    expected = count_arrays(spectrum, "counts")
    for other in (changed(spectrum, uncertainty=per_minute),
                  changed(spectrum, flux=60.0 * spectrum.flux.value * unit * u.s / u.min,
                          uncertainty=per_minute)):
        for first, second in zip(expected, count_arrays(other, "counts"), strict=True):
            assert_allclose(second, first, rtol=1e-12)


def test_saturation_follows_its_unit(stars):
    spectrum = stars[0][0]
    level = np.quantile(spectrum.flux.value, 0.7) * spectrum.flux.unit
    expected = count_arrays(spectrum, "counts", saturation=level)
    assert np.isinf(expected[2]).mean() == pytest.approx(0.3, abs=0.02)
    from sedflux.response.counts import saturation_rate

    given = saturation_rate((60.0 * level.value * level.unit * u.s / u.min) * (1.0 - 1e-12))
    assert_array_equal(count_arrays(spectrum, "counts", saturation=given)[2], expected[2])


@pytest.mark.parametrize(("change", "message"), [
    ({"position": 1.5}, "position is 1.5"), ({"position": 5}, "position is 5"),
    ({"position": "x"}, "position is 'x'"), ({"degree": -1}, "degree is -1"),
    ({"detectors": "ab"}, "detectors is 'ab'"), ({"detectors": 2}, "detectors is 2"),
    ({"detectors": ("a", "a")}, "give every name once"), ({"epoch": "yes"}, "epoch is 'yes'"),
    ({"size": 9216.0}, "size is 9216"), ({"size": (1.0, -1.0)}, "positive"),
    ({"epochs": (1.0, 0.0)}, "ascend"), ({"epochs": ("a", "b")}, "epochs"),
    ({"scatter": 0.0}, "scatter is 0"), ({"scatter": np.inf}, "scatter is inf"),
    ({"scatter": None}, "scatter is None"),
])
def test_wrong_field_terms_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        FieldTerms(**change)


def test_field_terms_without_terms_change_nothing(stars, band):
    plain, empty = (fit_response(*stars, band=band, field=field) for field in (None, FieldTerms()))
    assert_array_equal(plain.throughput, empty.throughput)


@pytest.mark.parametrize(("arguments", "message"), [
    (([1], [1], {}), "counts is a list"), (({}, [1], None), "bands a NoneType"),
    (({"GV": 3}, [1], {"GV": 1}), "has 1 entries"), (({}, 3, {}), "seds is a int"),
])
def test_wrong_bands_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        fit_responses(*arguments)


def test_several_bands_leave_out_stars(sky):
    counts = {name: sky.counts[name][:8] for name in ("GU", "GV")}
    counts["GU"] = [None, *counts["GU"][1:]]
    found = fit_responses(counts, sky.seds[:8], sky.bands, names=sky.names[:8],
                          exclude={sky.names[0]: "a double star", sky.names[3]: "too faint"})
    kinds = {band: {str(row["name"]): str(row["kind"]) for row in response.stars}
             for band, response in found.items()}
    assert sky.names[0] not in kinds["GU"]
    assert kinds["GV"][sky.names[0]] == "excluded"
    assert {kinds[band][sky.names[3]] for band in kinds} == {"excluded"}


def test_wrong_arguments_of_a_response_are_refused(responses):
    response = responses["GV"]
    with pytest.raises(TypeError, match="z"):
        response.evaluate([5000.0], z=3.0)
    known = ResponseCurve.from_throughput(response.to_synphot(), area=response.area)
    with pytest.raises(InputError, match="no spline"):
        known.basis([5000.0])
    with pytest.raises(InputError, match="area is 5"):
        ResponseCurve.from_throughput(response.to_synphot(), area=5)
    with pytest.raises(InputError, match="path is 5"):
        response.write(5)


@pytest.mark.parametrize(("name", "value"), [
    ("smoothness", 1e300), ("smoothness", 1e-300), ("grey_error", 1e300),
    ("wavelength_error", 1e300), ("truth_scale", 1e300), ("min_stars", 1e300),
    ("sed_resolving_power", 1e-300), ("sed_resolving_power", 1e300)])
def test_numbers_that_leave_the_range_of_the_equations_are_refused(name, value):
    with pytest.raises(InputError, match=f"{name} is .*; a number from"):
        Options(**{name: value})
