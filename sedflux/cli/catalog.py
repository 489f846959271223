"""The command ``sedflux catalog``."""

from __future__ import annotations

import argparse
from typing import Any

from sedflux.cli.options import add_command, add_model, files_by_band, given, say, whole_number
from sedflux.exceptions import InputError

__all__ = ["add_parser", "run"]

#: Largest number of failures that are printed.
_SHOWN = 10


def add_parser(commands: Any) -> None:
    """Add ``sedflux catalog``."""
    parser = add_command(commands, "catalog", run, "predict very many spectra into a folder",
                         example="sedflux catalog dr9/spectra lamost_seds")
    parser.add_argument("source", help="folder, pattern in quotes, table with a column path, or "
                        "arrays (.npz, .zarr)")
    parser.add_argument("destination", help="folder of the catalogue; the same command resumes an "
                        "interrupted run")
    parser.add_argument("--workers", type=whole_number(1), help="local processes (default: one "
                        "per core)")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="use a Dask cluster with this "
                        "address, such as tcp://host:8786, instead of local processes")
    parser.add_argument("--shard-size", type=whole_number(1), metavar="N", help="spectra that are "
                        "read, predicted and written together "
                        "(default: {catalog.run:predict_catalog.shard_size})")
    parser.add_argument("--band", action="append", metavar="BAND=FILE", dest="bands",
                        help="throughput of a band in the column band of the source; stars with a "
                        "magnitude get magnitudes in all bands; may be repeated")
    parser.add_argument("--bandpasses", nargs="+", action="extend", metavar="BAND=FILE",
                        dest="bands", help="the same for several bands")
    parser.add_argument("--photometry", nargs="+", metavar="BAND",
                        help="condition the SEDs on these bands, whose AB magnitudes are columns "
                        "of the source (g and g_error, or g=gmag,e_gmag); reddening and its error "
                        "are then what is known before")
    parser.add_argument("--verify", action="store_true",
                        help="compare all files with their checksums at the end")
    add_model(parser.add_argument_group("model"), auto=True)


def run(arguments: argparse.Namespace) -> int:
    """Predict the catalogue, and print how many spectra were predicted, flagged and failed."""
    from sedflux.catalog.catalog import SEDCatalog
    from sedflux.catalog.run import predict_catalog

    options = given(arguments, ["model", "workers", "shard_size"])
    if arguments.bands is not None:
        options["bands"] = files_by_band(arguments.bands, "--band")
    if arguments.photometry is not None:
        options["photometry"] = _columns(arguments.photometry)
    if arguments.scheduler is None:
        summary = predict_catalog(arguments.source, arguments.destination, **options)
    else:
        from distributed import Client

        with Client(arguments.scheduler) as client:
            summary = predict_catalog(arguments.source, arguments.destination, client=client,
                                      **options)
    catalog = SEDCatalog(arguments.destination)
    if arguments.verify:
        catalog.verify()
    say([f"{summary['predicted']} predicted ({summary['flagged']} flagged), "
         f"{summary['failed']} failed, {summary['shards']} shards in this run; "
         f"{catalog.path}"])
    if summary["failed"]:
        table = catalog.columns("identifier", "predicted", "error")
        failed = table[~table["predicted"]]
        say(f"  {row['identifier']}: {row['error']}" for row in failed[:_SHOWN])
        if len(failed) > _SHOWN:
            say([f"  and {len(failed) - _SHOWN} more, in the column error of table.parquet"])
    return 0


def _columns(texts):
    """Columns of magnitudes and errors by the names of their bands."""
    found = {}
    for text in texts:
        name, equals, columns = text.partition("=")
        pair = tuple(columns.split(",")) if equals else (name, f"{name}_error")
        if not name or name in found or len(pair) != 2 or not all(pair):
            raise InputError(f"--photometry has {text!r}; give BAND, or BAND=COLUMN,ERROR, each "
                             "band once")
        found[name] = pair
    return found
