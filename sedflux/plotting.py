"""Figures for people; matplotlib is imported when one is drawn."""

import numpy as np

from sedflux.exceptions import SedfluxError

__all__ = ["plot_prediction", "plot_response", "plot_training"]

INK, BAND_COLOR, TRUTH_COLOR = "#1f4e79", "#9dc3e6", "#c55a11"


def load_pyplot():
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot
    except ImportError as error:
        raise SedfluxError("figures need matplotlib: pip install 'sedflux[plot]'") from error
    return pyplot


def plot_prediction(path, sed, *, normalised=None, measured=None, title=""):
    """
    The normalised input, the predicted SED, the measured one, and their difference.

    Parameters
    ----------
    path : path-like
        Where the figure goes.
    sed : `~sedflux.SEDPrediction`
        Of one star.
    normalised : tuple of `~numpy.ndarray`, optional
        Wavelength and normalised flux of the input.
    measured : tuple of `~numpy.ndarray`, optional
        Flux of the same star on the SED's grid, and its sigma.
    title : str, optional
    """
    pyplot = load_pyplot()
    heights = [1.0, 2.0] + ([0.8] if measured else [])
    figure, axes = pyplot.subplots(len(heights), 1, figsize=(9, 2.4 * sum(heights)),
                                   height_ratios=heights, layout="constrained")
    if normalised is not None:
        axes[0].plot(*normalised, color=INK, lw=0.6)
    axes[0].set(ylabel="input / continuum", title=title, xlim=(4000, 7000),
                xlabel="wavelength (vacuum Å)")
    axis = axes[1]
    for width, alpha in ((2, 0.35), (1, 0.7)):
        axis.fill_between(sed.wavelength, sed.flux - width * sed.sigma,
                          sed.flux + width * sed.sigma, color=BAND_COLOR, alpha=alpha, lw=0,
                          label=f"predicted, {width} sigma")
    axis.plot(sed.wavelength, sed.flux, color=INK, lw=1.2, label="predicted from the lines")
    if measured:
        axis.plot(sed.wavelength, measured[0], color=TRUTH_COLOR, lw=1.0, label="measured")
    axis.set(ylabel="F$_\\lambda$ / mean(4000-7000 Å)", xlim=sed.wavelength[[0, -1]],
             ylim=(0, 1.25 * np.nanmax(sed.flux)))
    axis.legend(frameon=False, fontsize="small")
    if measured:
        total = np.hypot(sed.sigma, measured[1])
        axes[2].axhspan(-1, 1, color=BAND_COLOR, alpha=0.5, lw=0)
        axes[2].axhline(0, color="0.4", lw=0.8)
        pulls = (measured[0] - sed.flux) / total
        limit = max(4.0, 1.1 * np.nanmax(np.abs(pulls)))
        axes[2].plot(sed.wavelength, pulls, color=TRUTH_COLOR, lw=0.9)
        axes[2].set(ylabel="(measured - predicted)\n/ sigma", ylim=(-limit, limit),
                    xlim=axis.get_xlim(), xlabel="wavelength (vacuum Å)")
    else:
        axis.set_xlabel("wavelength (vacuum Å)")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def plot_response(path, response, *, truth=None):
    """
    A response curve with its 1-sigma band.

    Parameters
    ----------
    path : path-like
    response : `~sedflux.ResponseCurve`
    truth : `~numpy.ndarray`, optional
        Throughput at the same wavelengths.
    """
    pyplot = load_pyplot()
    figure, axis = pyplot.subplots(figsize=(8, 4), layout="constrained")
    axis.fill_between(response.wavelength, response.throughput - response.sigma,
                      response.throughput + response.sigma, color=BAND_COLOR, lw=0, label="1 sigma")
    axis.plot(response.wavelength, response.throughput, color=INK, lw=1.2, label="fitted")
    if truth is not None:
        axis.plot(response.wavelength, truth, color=TRUTH_COLOR, lw=1, ls="--", label="true")
    axis.set(xlabel="wavelength (vacuum Å)", ylabel="throughput", ylim=(0, None))
    axis.legend(frameon=False)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def plot_training(path, history):
    """
    Loss and error of a training run against its steps.

    Parameters
    ----------
    path : path-like
    history : sequence of dict
        Rows of the training log, with ``step``, ``loss``, ``median`` and, if known,
        ``validation``.
    """
    pyplot = load_pyplot()
    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
    steps = [entry["step"] for entry in history]
    axes[0].plot(steps, [entry["loss"] for entry in history], color=INK, label="training")
    if all("validation" in entry for entry in history):
        axes[0].plot(steps, [entry["validation"] for entry in history], color=TRUTH_COLOR,
                     label="validation (averaged weights)")
    axes[0].set(xlabel="step", ylabel="loss")
    axes[0].legend(frameon=False, fontsize="small")
    axes[1].semilogy(steps, [entry["median"] for entry in history], color=INK)
    axes[1].set(xlabel="step", ylabel="median |error of ln SED|")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
