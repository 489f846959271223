"""Commands in the documentation are allowed."""

import re
import shlex
from pathlib import Path

import pytest

from sedflux.cli import predict, response, validate
from sedflux.cli.main import build_parser
from sedflux.cli.options import refuse_unused

ROOT = Path(__file__).parents[2]
#: What a build writes, which holds no command that its sources do not.
WRITTEN = {"api", "gallery_built", "_build"}
PAGES = [*ROOT.glob("README.rst"),
         *(page for page in sorted((ROOT / "docs").rglob("*.rst"))
         if not WRITTEN & {*page.relative_to(ROOT).parts})]


def commands(text):
    """Commands in the literal blocks of a page, and those in double backquotes in full."""
    joined = re.sub(r"\\\n\s*", "", text)
    # What the shell puts in: the models of four folds, and the number of one.
    joined = re.sub(r"\S*fold\?\S*", "0 1 2 3", joined).replace("$fold", "0")
    for line in re.findall(r"^    (?:.*&& )?sedflux (.+)$", joined, flags=re.MULTILINE):
        yield re.split(r" [|>] ?", line)[0]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_of_a_page_are_allowed(page):
    for command in commands(page.read_text()):
        arguments = build_parser().parse_args(shlex.split(command))
        if arguments.command == "predict":
            refuse_unused(arguments, predict._PARTNERS)
        if arguments.command == "validate":
            validate._check_options(arguments)
        if getattr(arguments, "stage", None) == "fit":
            response._check_options(arguments)


@pytest.mark.skipif(not PAGES, reason="the documentation is not here")
def test_there_are_commands_in_the_documentation():
    assert sum(len(list(commands(page.read_text()))) for page in PAGES) > 20
