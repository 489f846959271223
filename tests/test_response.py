import numpy as np
import pytest
from astropy import units as u
from astropy.nddata import StdDevUncertainty
from numpy.testing import assert_allclose
from specutils import Spectrum
from synphot import Observation, SpectralElement
from synphot.models import Box1D, Empirical1D

from sedflux import InputError, LowRankCovariance, anchor, fit_response, to_source_spectrum
from sedflux.slitless import count_model

AREA = np.pi * 100.0**2 * u.cm**2
BAND = SpectralElement(Box1D, amplitude=1.0, x_0=5500.0, width=800.0)
PIXELS = np.arange(4100.0, 6100.0, 10.0)


def throughput(wavelength):
    return 0.25 * np.exp(-0.5 * ((wavelength - 5100.0) / 900.0) ** 2) * (
        1.0 + 0.05 * np.sin(wavelength / 120.0))


@pytest.fixture(scope="module")
def absolute(sed):
    return anchor(sed, 15.0 * u.ABmag, BAND, magnitude_error=0.01 * u.mag)


def as_counts(rate, sigma=None, pixels=PIXELS):
    uncertainty = None if sigma is None else StdDevUncertainty(np.broadcast_to(sigma, rate.shape))
    return Spectrum(spectral_axis=pixels * u.AA, flux=rate * u.electron / u.s,
                    uncertainty=uncertainty)


def counts_of(sed, resolving_power=None, pixels=PIXELS):
    model = count_model(pixels, sed.spectral_axis.value, area=AREA.value,
                        resolving_power=resolving_power)
    return model.counts(throughput(model.fine), sed.flux.value)


def test_noiseless_counts_by_synphot_return_the_throughput(absolute):
    grid = np.arange(3900.0, 6300.0, 2.0)
    band = SpectralElement(Empirical1D, points=grid * u.AA, lookup_table=throughput(grid))
    observation = Observation(to_source_spectrum(absolute), band, binset=PIXELS * u.AA)
    rate = observation.sample_binned(flux_unit=u.count, area=AREA).value
    response = fit_response([as_counts(rate)], [absolute], area=AREA)
    inner = slice(4, -4)
    assert_allclose(response.throughput[inner], throughput(response.wavelength)[inner], rtol=1e-3)


def test_closure_through_a_line_spread_function(absolute):
    """The naive ratio of counts and photons is ten times worse beside lines and edges."""
    rate = counts_of(absolute, 200.0)
    response = fit_response([as_counts(rate)], [absolute], area=AREA, resolving_power=200.0)
    inner = slice(8, -8)
    assert_allclose(response.throughput[inner], throughput(response.wavelength)[inner], rtol=1e-3)


def test_many_stars_on_their_own_pixels(absolute, rng):
    stars, seds = [], []
    for shift in (0.0, 3.3, 6.1):
        pixels = PIXELS + shift
        rate = counts_of(absolute, pixels=pixels)
        stars.append(as_counts(rate + 0.01 * rate * rng.standard_normal(rate.size), 0.01 * rate,
                               pixels))
        seds.append(absolute)
    one = fit_response(stars[:1], seds[:1], area=AREA)
    three = fit_response(stars, seds, area=AREA)
    assert three.wavelength.size == 3 * PIXELS.size
    noise_one = np.median(np.sqrt(np.diag(one.covariance.to_dense())))
    noise_three = np.median(np.sqrt(np.diag(three.covariance.to_dense())))
    assert noise_three < noise_one
    assert 0.7 < three.chi2 / three.degrees_of_freedom < 1.3


def test_pulls_of_the_response(absolute):
    """Draw SEDs and photon noise: the response scatters as its covariance says."""
    rng = np.random.default_rng(11)
    covariance = absolute.meta["sedflux"]["covariance"]
    relative = covariance.scaled(1.0 / absolute.flux.value)
    truth, pulls = throughput(PIXELS), []
    for _ in range(40):
        stars = []
        for deviation in relative.sample(3, rng):
            drawn = absolute._copy(flux=absolute.flux * np.exp(deviation))
            rate = counts_of(drawn)
            stars.append(as_counts(rate * (1 + 0.02 * rng.standard_normal(rate.size)),
                                   0.02 * rate))
        response = fit_response(stars, [absolute] * 3, area=AREA)
        pulls.append((np.log(response.throughput / truth) / response.covariance.sigma)[10:-10])
    assert 0.75 < np.std(pulls) < 1.25


def test_calibrating_another_object(absolute):
    response = fit_response([as_counts(counts_of(absolute))], [absolute], area=AREA)
    other = anchor(absolute._copy(
        flux=absolute.flux * (absolute.spectral_axis.value / 5500.0) ** 2,
        meta={"sedflux": {"covariance": LowRankCovariance(np.zeros(575), np.zeros((0, 575)))}},
    ), 17.0 * u.ABmag, BAND)
    rate = counts_of(other)
    result = response.calibrate(as_counts(rate, 0.05 * rate))
    expected = np.interp(PIXELS, other.spectral_axis.value, other.flux.value)
    assert result.flux.unit == u.Unit("erg / (s cm2 Angstrom)")
    assert_allclose(result.flux.value[5:-5], expected[5:-5], rtol=0.02)
    assert (result.uncertainty.array / result.flux.value >= 0.05).all()


def test_to_synphot(absolute):
    response = fit_response([as_counts(counts_of(absolute))], [absolute], area=AREA)
    element = response.to_synphot()
    assert_allclose(element(response.wavelength * u.AA).value, response.throughput)
    assert_allclose(response.sigma, response.throughput * response.covariance.sigma)


def test_masked_and_nan_pixels_are_left_out(absolute):
    rate = counts_of(absolute)
    spoiled = rate.copy()
    spoiled[50], spoiled[60] = np.nan, 1e9
    mask = np.arange(rate.size) == 60
    counts = Spectrum(spectral_axis=PIXELS * u.AA, flux=spoiled * u.electron / u.s, mask=mask,
                      uncertainty=StdDevUncertainty(1e-3 * rate))
    response = fit_response([counts], [absolute], area=AREA)
    assert_allclose(response.throughput[10:-10], throughput(PIXELS)[10:-10], rtol=5e-3)


def test_bad_input(sed, absolute):
    good = as_counts(counts_of(absolute))
    cases = [
        (([good], [absolute, absolute]), {}, "1 and 2 entries"),
        (([good], [sed]), {}, "relative"),
        (([good], [absolute]), {"area": 3.0}, "collecting area"),
        (([Spectrum(spectral_axis=PIXELS * u.AA, flux=good.flux.value * u.Jy)], [absolute]), {},
         "electron / s"),
        (([as_counts(np.ones(10), pixels=np.linspace(2000, 2400, 10))], [absolute]), {},
         "cut the counts"),
        (([as_counts(np.full(PIXELS.size, np.nan), 1.0)], [absolute]), {}, "good pixels"),
        ((["x"], [absolute]), {}, "specutils.Spectrum"),
    ]
    for arguments, change, message in cases:
        with pytest.raises(InputError, match=message):
            fit_response(*arguments, **({"area": AREA} | change))
    response = fit_response([good], [absolute], area=AREA)
    with pytest.raises(InputError, match="cut the counts"):
        response.calibrate(as_counts(np.ones(50), pixels=np.linspace(7000, 8000, 50)))
