"""The command ``sedflux benchmark``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from sedflux.cli.options import (
    add_command,
    add_model,
    check_new_files,
    given,
    positive_number,
    say,
    whole_number,
)
from sedflux.exceptions import InputError

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Add ``sedflux benchmark``."""
    parser = add_command(commands, "benchmark", run, "measure the speed",
                         example="sedflux benchmark --batches 1 64")
    parser.add_argument("--batches", type=whole_number(1), nargs="+", metavar="N",
                        help="numbers of spectra per call (default: "
                        "{validation.speed:benchmark.batches})")
    parser.add_argument("--threads", type=whole_number(1), nargs="+", metavar="N",
                        help="numbers of threads (default: that of NumPy)")
    parser.add_argument("--device", metavar="DEVICE",
                        help="where spectra are worked on, cpu or cuda (default: "
                        "{validation.speed:benchmark.device})")
    parser.add_argument("--seconds", type=positive_number, metavar="S",
                        help="least time of each measurement (default: "
                        "{validation.speed:benchmark.seconds})")
    parser.add_argument("--all", action="store_true",
                        help="also measure stars of different velocities, cold start, other "
                        "computations, and the limits of the machine")
    parser.add_argument("--response", type=whole_number(1), nargs="+", metavar="STARS",
                        help="instead, time response fits to these numbers of stars")
    output = parser.add_argument_group("output")
    output.add_argument("-o", "--output", metavar="ECSV", help="write the table")
    output.add_argument("--json", metavar="FILE", help="write all results as JSON")
    output.add_argument("--overwrite", action="store_true", help="replace existing files")
    add_model(parser.add_argument_group("model"))


def run(arguments: argparse.Namespace) -> None:
    """Print spectra per second, or the time of response fits."""
    check_new_files([Path(name) for name in (arguments.output, arguments.json) if name is not None],
                    overwrite=arguments.overwrite)
    if arguments.response:
        unused = [name for name in ("model", "batches", "threads", "device", "seconds")
                  if getattr(arguments, name) is not None]
        if unused or arguments.all:
            raise InputError(f"--response has no --{(unused or ['all'])[0]}; leave it out")
        from sedflux.validation.response_run import measure_scaling

        table = measure_scaling(arguments.response)
        say(f"{row['stars']:6d} stars, {table.meta['bands']} bands: {row['seconds']:7.2f} s, "
            f"{row['memory']:.2f} GB" for row in table)
    else:
        table = _predictions(arguments)
        say(_lines(table))
    _write(table, arguments)


def _predictions(arguments):
    """The table of predictions, with the other measurements in its meta data."""
    from astropy.table import vstack

    from sedflux.validation import speed

    table = speed.benchmark(arguments.model, velocities=("one", "each")[:1 + arguments.all],
                            **given(arguments, ("batches", "threads", "device", "seconds")))
    table.meta["machine"] = speed.describe_machine()
    if arguments.all:
        time = given(arguments, ("seconds",))
        table = vstack([table, speed.measure_peers(arguments.model, **time)])
        table.meta |= {"cold_start": speed.measure_cold_start(**time),
                       "limits": speed.measure_limits(**time)}
    return table


def _lines(table):
    """Printed lines about a table of predictions."""
    meta = table.meta
    machine = meta["machine"]
    if "device" in meta:
        yield f"spectra are worked on by {meta['device']}"
    yield (f"{machine['cores']} cores, load {machine['load']:.1f}; model loaded and first spectrum "
           f"predicted in {meta['start']:.2f} s; {meta['memory']:.2f} GB at the most")
    for row in table:
        if row["way"] == "sedflux":
            velocities = "one velocity" if row["velocities"] == "one" else "each its own"
            yield (f"batch {row['batch']:6d}, {row['threads']} threads, {velocities:14s}: "
                   f"{row['rate']:8.1f} spectra/s")
        else:
            yield f"{row['way']}: {1e3 / row['rate']:.2f} ms a spectrum"
    for name, seconds in meta.get("cold_start", {}).items():
        yield f"{name}: {seconds:.2f} s"
    for name, value in meta.get("limits", {}).items():
        yield f"limit of the machine: {value:.1f} {name}"


def _write(table, arguments):
    """Write the table, and the same as JSON."""
    from sedflux.validation.tables import write_table
    from sedflux.writing import write_whole

    if arguments.output is not None:
        write_table(table, Path(arguments.output))
    if arguments.json is not None:
        rows = [{name: value.item() for name, value in zip(row.colnames, row, strict=True)}
                for row in table]
        text = json.dumps(dict(table.meta) | {"rows": rows}, indent=1)
        write_whole(arguments.json, lambda path: path.write_text(text + "\n"))
