"""Predict a catalogue, in this process, in local processes or on a Dask cluster."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sedflux._version import __version__
from sedflux.catalog.bands import CatalogBands, band_tables
from sedflux.catalog.destination import Destination
from sedflux.catalog.models import largest_rank, model_facts
from sedflux.catalog.photometry import band_columns
from sedflux.catalog.shard import predict_rows
from sedflux.catalog.sources import read_source
from sedflux.exceptions import InputError, SedfluxError, WriteError
from sedflux.predict.loading import loaded_predictor
from sedflux.predict.models import AUTO
from sedflux.units import whole_number

__all__ = ["predict_catalog", "predict_shard"]

_log = logging.getLogger(__name__)
#: Submitted shards per worker: more would fill the memory of the scheduler.
_SHARDS_PER_WORKER = 3
#: Attempts at a shard whose workers are killed.
_ATTEMPTS = 20
#: Time after which a local process that died is given up.
_RETURNING = "1h"


def predict_catalog(source: Any, destination: str | os.PathLike[str], *,
                    model: str | os.PathLike[str] | None = AUTO, client: Any = None,
                    workers: int | None = None, shard_size: int = 512,
                    bands: Mapping[str, Any] | None = None, photometry: Any = None,
                    progress: bool | None = None) -> dict[str, Any]:
    """
    Predict the SEDs of very many spectra into a folder.

    The same call resumes an interrupted run: it predicts only shards that are not complete.  For a
    file that cannot be used, the column ``error`` has the reason, and the run goes on.

    Parameters
    ----------
    source : path-like, sequence of path-like or `~astropy.table.Table`
        See `sedflux.catalog.sources.read_source`: a folder, a pattern, files, a table of files, or
        arrays.
    destination : path-like
        Folder of the catalogue; `sedflux.SEDCatalog` reads it.
    model : str or path-like, optional
        By default ``"auto"``, as for `sedflux.predict_sed`: the columns ``model`` and ``log_odds``
        have the choice of each star and its odds.
    client : `distributed.Client`, optional
        Of a Dask cluster on whose workers source and destination have the same paths.
    workers : int, optional
        Local processes, if there is no client; one per core by default.  With 1, everything runs
        in the calling process.  Processes import the script that calls: there, call it below
        ``if __name__ == "__main__":``.
    shard_size : int, optional
        Spectra that are read, predicted and written together.
    bands : dict of str to path-like or `synphot.SpectralElement`, optional
        Throughputs by name, for the column ``band`` of the source, where other names are those of
        files.  Stars with a magnitude get AB magnitudes in all bands.
    photometry : sequence of str, or dict of str to tuple of str, optional
        Bands whose AB magnitudes are columns of the source, as ``g`` and ``g_error``; or the names
        of both columns of each band.  Masked values and NaN are missing.  The SEDs are then
        conditioned on them as by `sedflux.condition`; ``reddening`` and ``reddening_error`` of
        the source are what is known of E(B-V) before.  ``bands`` has the throughputs.
    progress : bool, optional
        Whether to draw a progress bar; by default if the standard error is a terminal.

    Returns
    -------
    summary : dict
        Numbers of spectra ``predicted``, ``flagged`` and ``failed``, and ``shards`` that this run
        predicted.

    Raises
    ------
    sedflux.exceptions.InputError
        If the source or the destination cannot be used, the destination holds a catalogue of
        another source, model or options, or another run is writing it.
    sedflux.exceptions.WriteError
        If the disk is full; complete shards are kept.

    Examples
    --------
    >>> import tempfile
    >>> from sedflux import SEDCatalog, predict_catalog
    >>> from sedflux.demo import demo_path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     summary = predict_catalog([demo_path("16cygb_miles")], f"{folder}/catalog", workers=1)
    ...     teff = SEDCatalog(f"{folder}/catalog").table["teff"][0]
    >>> summary["predicted"], bool(5500 < teff < 6100)
    (1, True)
    """
    shard_size = whole_number(shard_size, "shard_size", least=1)
    columns = band_columns(photometry)
    rows = read_source(source, photometry=columns)
    tables = band_tables(rows, bands)
    for name in columns:
        if name not in tables:
            raise InputError(f"photometry has the band {name!r}, bands has "
                             f"{', '.join(tables) or 'none'}; give its throughput")
    predictor = loaded_predictor(model)
    # This refuses bands outside the SEDs before anything is written.
    CatalogBands.from_tables(predictor.wavelength, tables)
    folder = Destination(destination)
    with folder.locked():
        folder.start(rows, {
            "bands": tables, "photometry": list(columns), "version": __version__,
            **model_facts(predictor), "wavelength": predictor.wavelength,
            "shard_size": min(shard_size, len(rows)),
            "rank": largest_rank(predictor) + ("reddening" in rows.colnames and not columns)})
        missing = [number for number in range(folder.shard_count())
                   if not folder.has_landed(number)]
        # Workers read their rows from the folder.
        stars = len(rows)
        del rows
        _log.info("%d spectra in %d shards, %d of them to predict", stars,
                  folder.shard_count(), len(missing))
        shown = sys.stderr.isatty() if progress is None else progress
        with _bar(stars, shown) as advance:
            advance(sum(note["predicted"] + note["failed"] for note in folder.notes().values()))
            for size in _work(folder, missing, model, client, workers):
                advance(size)
        folder.finish()
    notes = folder.notes().values()
    return {name: sum(note[name] for note in notes) for name in (
        "predicted", "flagged", "failed")} | {"shards": len(missing)}


def predict_shard(path: str, number: int, model: str | os.PathLike[str] | None) -> int:
    """
    Predict one shard of a catalogue, in the process of a worker.

    Parameters
    ----------
    path : str
        Of the catalogue.
    number : int
    model : str or path-like, optional

    Returns
    -------
    size : int
        Number of spectra.
    """
    folder = Destination(path)
    rows = folder.rows(number)
    if not folder.has_landed(number):
        shard = predict_rows(loaded_predictor(model), rows, rank=folder.facts["rank"],
                             bands=folder.facts["bands"], photometry=folder.facts["photometry"])
        folder.land(number, shard)
    return len(rows)


def _predict_alone(path, number, model):
    """`predict_shard` with one thread, because there is one worker per core."""
    from sedflux.network.threads import use_threads

    use_threads(1)
    return predict_shard(path, number, model)


def _work(folder, missing, model, client, workers) -> Iterator[int]:
    """Predict shards on the workers; yield the number of spectra of each complete one."""
    path = os.fspath(folder.path)
    if client is None:
        workers = os.cpu_count() or 1 if workers is None else whole_number(
            workers, "workers", least=1)
        if min(workers, len(missing)) <= 1:
            for number in missing:
                yield predict_shard(path, number, model)
            return
        with _local_client(min(workers, len(missing))) as local:
            yield from _distribute(local, path, missing, model)
    else:
        yield from _distribute(client, path, missing, model)


@contextmanager
def _local_client(workers):
    """A client of local processes, which is patient with those that have to start again."""
    import dask
    from distributed import Client, LocalCluster

    # On a busy machine a killed process returns later than a cluster waits by default.  Profiles
    # of the workers take memory that grows with time, and nobody reads them.
    with dask.config.set({"distributed.deploy.lost-worker-timeout": _RETURNING,
                          "distributed.worker.profile.enabled": False}):
        try:
            started = LocalCluster(n_workers=workers, threads_per_worker=1,
                                   dashboard_address="127.0.0.1:0", silence_logs=logging.ERROR)
        except RuntimeError as error:
            raise SedfluxError(
                f"local processes do not start ({error}); each of them imports the script that "
                "calls predict_catalog: call it below  if __name__ == '__main__':") from error
        with started as cluster, Client(cluster) as client:
            yield client


def _distribute(client, path, missing, model) -> Iterator[int]:
    """Submit a few shards per worker at a time, and again those whose workers were killed."""
    from distributed import KilledWorker, as_completed

    waiting, attempts = list(reversed(missing)), dict.fromkeys(missing, 0)
    running = as_completed([])
    shards: dict[str, int] = {}

    def submit():
        workers = max(len(client.scheduler_info()["workers"]), 1)
        while waiting and len(shards) < _SHARDS_PER_WORKER * workers:
            number = waiting.pop()
            attempts[number] += 1
            future = client.submit(_predict_alone, path, number, model, pure=False)
            shards[future.key] = number
            running.add(future)

    submit()
    for future in running:
        number = shards.pop(future.key)
        try:
            yield future.result()
        except KilledWorker as error:
            if attempts[number] >= _ATTEMPTS:
                raise WriteError(f"the workers of shard {number} were killed {_ATTEMPTS} times, "
                                 "perhaps for lack of memory; use a smaller shard_size") from error
            waiting.append(number)
        except SedfluxError:
            client.cancel(list(running.futures))
            raise
        submit()


@contextmanager
def _bar(total, shown):
    """A progress bar as a function that advances it."""
    from tqdm import tqdm

    with tqdm(total=total, unit="star", unit_scale=True, disable=not shown) as bar:
        yield bar.update
