"""What may come out: a result of finite numbers, or an error that names its cause."""

import warnings
from dataclasses import dataclass

import numpy as np
from astropy.io.fits.verify import VerifyWarning

from sedflux.exceptions import SedfluxError, SedfluxWarning

__all__ = ["Case", "Violation", "check_prediction", "check_sed", "judge", "numbers_of"]


@dataclass(frozen=True)
class Case:
    """
    One input, which can be made again.

    Attributes
    ----------
    target : str
        What is called.
    changes : tuple of str
        Changes of a good input, in their order.
    seed : int
        Of the numbers that the changes draw.
    """

    target: str
    changes: tuple[str, ...] = ()
    seed: int = 0

    def __str__(self):
        return f"{self.target}:{','.join(self.changes)}:{self.seed}"

    @classmethod
    def parse(cls, text):
        """A case from what `str` gives."""
        target, changes, seed = text.split(":")
        return cls(target, tuple(filter(None, changes.split(","))), int(seed))


class Violation(AssertionError):
    """An outcome that is not allowed; ``kind`` is what many of them share."""

    def __init__(self, kind, detail):
        super().__init__(f"{kind}: {detail}")
        self.kind, self.detail = kind, detail


def judge(call, check, names):
    """
    Call, and see what comes out.

    Parameters
    ----------
    call : callable
        Without arguments.
    check : callable
        Raises `Violation` if the result is not allowed.
    names : sequence of str
        Of which an error must say one.

    Returns
    -------
    outcome : {'refused', 'predicted'}
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", SedfluxWarning)
        # Cards that the FITS standard does not know are no damage.
        warnings.simplefilter("ignore", VerifyWarning)
        # astropy and specutils leave files open that they fail to read.
        warnings.simplefilter("ignore", ResourceWarning)
        # torch reads arrays that are not writeable without writing to them.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        try:
            result = call()
        except SedfluxError as error:
            _check_message(str(error), names)
            return "refused"
        except Warning as error:
            raise Violation(f"warning {type(error).__name__} {_place(error)}", error) from error
        except Exception as error:
            raise Violation(f"error {type(error).__name__} {_place(error)}", error) from error
        try:
            check(result)
        except SedfluxError as error:
            raise Violation(f"a result that cannot be used {_place(error)}", error) from error
    return "predicted"


def _place(error):
    """The last line of sedflux that an error came through."""
    trace, place = error.__traceback__, ""
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if "/sedflux/" in name and "/tests/" not in name:
            place = f"at {name.rsplit('/sedflux/', 1)[1]}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


def _check_message(message, names):
    if not any(name.lower() in message.lower() for name in names):
        raise Violation("message names nothing", message)
    if len(message) > 1000:
        raise Violation("message without end", message[:200])


def numbers_of(values, name, *, positive=False):
    """Check that an array is finite, and positive if it must be."""
    values = np.asarray(values, dtype=float)
    if not np.isfinite(values).all():
        raise Violation(f"{name} is not finite", f"{np.mean(~np.isfinite(values)):.1%} of it")
    if positive and not (values > 0).all():
        raise Violation(f"{name} is not positive", f"least {values.min():g}")
    return values


def check_prediction(prediction):
    """Every number finite, sigma positive, flags as their bits say."""
    from sedflux.predict.flags import FLAGS, flag_names

    numbers_of(prediction.flux, "flux", positive=True)
    numbers_of(prediction.sigma, "sigma", positive=True)
    numbers_of(prediction.diagonal, "diagonal")
    numbers_of(prediction.radial_velocity, "radial_velocity")
    for name, value in prediction.diagnostics.items():
        numbers_of(value, f"diagnostic {name}")
    single = np.ndim(prediction.flag_bits) == 0
    flags = [prediction.flags] if single else prediction.flags
    for bits, sentences in zip(np.atleast_1d(prediction.flag_bits), flags, strict=True):
        if len(flag_names(bits)) != len(sentences) or bits >= 2 ** len(FLAGS):
            raise Violation("flags and bits differ", f"{bits} {sentences}")


def check_sed(sed):
    """A spectrum whose flux, sigma and covariance are finite and belong together."""
    from sedflux import covariance_of

    flux = numbers_of(sed.flux.value, "flux", positive=True)
    sigma = numbers_of(sed.uncertainty.array, "sigma", positive=True)
    if flux.shape != sigma.shape:
        raise Violation("shapes differ", f"{flux.shape} {sigma.shape}")
    covariance = covariance_of(sed)
    covariance = covariance if isinstance(covariance, tuple) else (covariance,)
    own = np.stack([one.sigma for one in covariance])
    if not np.allclose(own, np.atleast_2d(sigma), rtol=1e-3):
        raise Violation("covariance is not that of sigma", f"{np.max(own / sigma):g}")
