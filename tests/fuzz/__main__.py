"""
Long runs for maintainers.

``python -m tests.fuzz --minutes 10 --seed 1`` makes new hostile inputs until the time is over,
``python -m tests.fuzz --kill 200`` kills every writer 200 times,
``python -m tests.fuzz --full FOLDER`` fills the file system of an empty folder, such as a tmpfs of
some MB, and lets every writer write there, and
``python -m tests.fuzz --case arrays:noise,scale:17`` makes one input again.
"""

import argparse
import sys
import time
from collections import Counter

from hypothesis import HealthCheck, Phase, given, seed, settings

from .judge import Case, Violation
from .killing import fill_folder, kill_writer
from .strategies import TARGETS, cases, run
from .writers import WRITERS

#: Inputs of a target between two looks at the clock.
_ROUND = 40


def main(arguments=None):
    """Run, print a table, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target", choices=TARGETS, action="append")
    parser.add_argument("--kill", type=int, metavar="N", help="kill every writer N times")
    parser.add_argument("--writer", choices=WRITERS, action="append")
    parser.add_argument("--full", metavar="FOLDER", help="let every writer meet a full disk")
    parser.add_argument("--case", help="make one input again")
    options = parser.parse_args(arguments)
    if options.case:
        print(run(Case.parse(options.case)))
        return 0
    if options.kill:
        return _kill(options.writer or list(WRITERS), options.kill, options.seed)
    if options.full:
        return _full(options.writer or list(WRITERS), options.full)
    return _fuzz(options.target or list(TARGETS), options.minutes, options.seed)


def _fuzz(targets, minutes, start):
    """Inputs of all targets in turn, until the time is over."""
    outcomes, found = Counter(), {}
    end, number = time.monotonic() + 60.0 * minutes, start
    while time.monotonic() < end:
        for target in targets:
            _round(target, number, end, outcomes, found)
        number += 1
    print(f"{'target':10s} {'inputs':>8s} {'refused':>8s} {'predicted':>9s} {'violations':>10s}")
    for target in targets:
        bad = sum(len(examples) for (where, _), examples in found.items() if where == target)
        good = [outcomes[target, name] for name in ("refused", "predicted")]
        print(f"{target:10s} {sum(good) + bad:8d} {good[0]:8d} {good[1]:9d} {bad:10d}")
    for (target, kind), examples in sorted(found.items()):
        print(f"\n{target}: {kind} ({len(examples)} times), such as --case '{examples[0][0]}'\n"
              f"    {' '.join(str(examples[0][1]).split())[:300]}")
    print(f"\nseeds {start} to {number - 1}")
    return 1 if found else 0


def _round(target, number, end, outcomes, found):
    """A few inputs of one target."""
    @seed(number)
    @settings(max_examples=_ROUND, deadline=None, database=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))
    @given(cases(target))
    def one(case):
        if time.monotonic() > end:
            return
        try:
            outcomes[target, run(case)] += 1
        except Violation as violation:
            found.setdefault((target, violation.kind), []).append((str(case), violation.detail))
        except Exception as error:
            found.setdefault((target, f"in the test: {type(error).__name__}"), []).append(
                (str(case), error))

    one()


def _kill(writers, times, start):
    """Kill every writer many times."""
    failed = 0
    print(f"{'writer':16s} {'killed':>7s} {'finished':>9s} {'old':>5s} {'new':>5s} {'half':>5s}")
    for name in writers:
        count = kill_writer(name, times, seed=start)
        print(f"{name:16s} {count['killed']:7d} {count['finished']:9d} {count['old']:5d} "
              f"{count['new']:5d} {count['half']:5d}", flush=True)
        failed += count["half"]
    return 1 if failed else 0


def _full(writers, folder):
    """Let every writer meet a disk with no room, one page, and a few."""
    failed = 0
    print(f"{'writer':16s} {'room':>6s} {'raised':>12s} {'found':>6s} left")
    for name in writers:
        for room in (0, 4096, 20480):
            raised, found, left = fill_folder(name, folder, room)
            good = (raised, found) in (("WriteError", 1.0), ("written", 2.0))
            failed += not good or left != [WRITERS[name][0]]
            print(f"{name:16s} {room:6d} {raised:>12s} {found:6.1f} {' '.join(left)}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
