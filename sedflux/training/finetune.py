"""
From models to stars: training on a library that real stars have corrected.

Few stars and many parameters: rather than the network's weights, the stars correct the
library (`sedflux.training.empirical`, smooth terms a wavelength), and the network is
trained on as many examples of it as before, with the stars' scatter drawn into lines and
SEDs.  Where no star exists, the models stand.
"""

from pathlib import Path

import numpy as np
import torch

from sedflux.emulator.principal import kernels_from_lists
from sedflux.io.download import file_hash
from sedflux.libraries.library import read_library, split_models
from sedflux.network.checkpoint import load_network
from sedflux.network.header import require_entries
from sedflux.training.empirical import fit_correction
from sedflux.training.examples import ExampleGenerator
from sedflux.training.johnson import johnson_weights
from sedflux.training.pretrain import Schedule, pretrain
from sedflux.training.run import finish
from sedflux.training.stars import read_passbands, read_stars

__all__ = ["finetune", "star_engine"]


def star_engine(library, start, stars, passbands, *, johnson=None, prior="flat",
                effects=False, network=None):
    """
    An engine whose examples are like real stars.

    Parameters
    ----------
    library : `~sedflux.libraries.SpectralLibrary`
        Training models.
    start : dict
        Metadata of the pretrained model, which holds the emulator's kernels.
    stars : `~sedflux.training.stars.RealStars`
    passbands : dict
    johnson : dict, optional
        From `~sedflux.training.johnson.johnson_weights`.
    prior : {'flat', 'survey'}, optional
        Distribution of the labels, see `sedflux.libraries.prior`.
    effects : bool, optional
        Spoil some spectra as surveys do.
    network : `torch.nn.Module`, optional
        Gives the stars' labels, see `~sedflux.training.empirical.fit_correction`.

    Returns
    -------
    engine : `~sedflux.training.examples.ExampleGenerator`
    """
    kernels = kernels_from_lists(start["kernels"])
    correction = fit_correction(library, kernels, stars, passbands, johnson,
                                network=network)
    return ExampleGenerator(correction.correct(library), kernels=kernels, scatter=correction,
                            prior=prior, effects=effects)


def finetune(library, miles, stis, photometry, folder, *, start, name="uara.custom_stars",
             leave_out=None, steps=6000, seed=1, workers=1, learning_rate=1e-3, warm=True,
             share=1.0, prior="flat", johnson=None, claim=None, effects=False,
             labels_of=None):
    """
    Fine-tune a pretrained model on real stars and write it, with its log.

    Parameters
    ----------
    library, miles, stis, photometry : path-like
        FITS libraries: models, R = 2000 spectra, STIS SEDs, magnitudes.
    folder : path-like
        Gets checkpoint, ``log.csv``, ``training.json``, ``training.png`` and the model; a
        run that was cut off is resumed.
    start : path-like
        The pretrained model.
    name : str, optional
        ``arch.tag``.
    leave_out : int, optional
        Fold of stars that is left out, see `sedflux.training.stars.fold_of`.
    steps, seed, workers, learning_rate : optional
        See `~sedflux.training.pretrain.Schedule`.
    warm : bool, optional
        Go on from the pretrained weights; else begin anew, with templates of corrected models.
    share : float, optional
        Share of the stars that is used, to see how many are needed.
    prior : {'flat', 'survey'}, optional
        Distribution of the labels.
    johnson : path-like, optional
        Johnson colours of the stars, as further truths.
    claim : tuple of float, optional
        Temperatures (K) between which stars left out have shown that predictions hold; others are
        flagged.
    effects : bool, optional
        Spoil some training spectra as surveys do, see `sedflux.training.effects`.
    labels_of : path-like, optional
        A model that was fine-tuned on the same stars: the correction of SEDs is fitted at the
        labels that it gives them.

    Returns
    -------
    path : `~pathlib.Path`
        Of the model.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    network, metadata = load_network(start)
    require_entries(metadata, ("name", "kernels"), start)
    models, _ = split_models(read_library(library))
    stars = read_stars(miles, stis, photometry, johnson)
    if leave_out is not None:
        stars = stars.take(stars.fold != leave_out)
    stars = stars.take(np.random.default_rng(seed).random(len(stars)) <= share)
    engine = star_engine(models, metadata, stars, read_passbands(photometry), prior=prior,
                         johnson=None if johnson is None else johnson_weights(johnson),
                         effects=effects,
                         network=None if labels_of is None else load_network(labels_of)[0])
    schedule = Schedule(steps=steps, seed=seed, learning_rate=learning_rate, pool=40, reuse=6)
    network, _ = pretrain(engine, schedule, folder, start=network if warm else None,
                          workers=workers)
    left_out = "none" if leave_out is None else f"stars of fold {leave_out}"
    origin = {"start": metadata["name"] if warm else "none", "stars": len(stars),
              "left_out": left_out, "files": {Path(file).name: file_hash(file)
                                              for file in (miles, stis, photometry, johnson)
                                              if file is not None}}
    return finish(network, engine, schedule, folder, name=name, origin=origin, claim=claim)
