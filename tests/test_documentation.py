"""What the reference generates from the package, and what the package says of itself."""

import ast
import configparser
import importlib
import importlib.util
import re
import sys
import tomllib
from pathlib import Path

import pytest

import sedflux
from sedflux.cli.main import build_parser
from sedflux.predict.flags import FLAGS
from sedflux.predict.models import list_models
from sedflux.slitless.instrument import list_instruments

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"

pytestmark = pytest.mark.skipif(not DOCS.exists(), reason="the documentation is not here")


@pytest.fixture(scope="module")
def generated():
    pytest.importorskip("sphinx_gallery")
    place = DOCS / "_ext" / "generated.py"
    description = importlib.util.spec_from_file_location("generated", place)
    module = importlib.util.module_from_spec(description)
    description.loader.exec_module(module)
    return module


def test_the_reference_has_every_command(generated):
    page = (DOCS / "reference" / "cli.rst").read_text()
    described = re.findall(r"^\.\. command-options:: (.+)$", page, flags=re.MULTILINE)
    assert sorted(described) == sorted(generated.all_commands(build_parser()))


def test_every_option_is_listed_with_its_help(generated):
    parser = generated.find_parser(build_parser(), ["response", "fit"])
    text = "\n".join(generated.command_lines(parser))
    for action in parser._actions[1:]:
        assert all(f"``{name}" in text for name in action.option_strings), action
    assert "{response." not in text
    assert "%(default)s" not in text


def test_flags_and_instruments_are_all_there(generated):
    text = "\n".join(generated.flag_lines())
    assert all(f"``{one.name}``" in text for one in FLAGS)
    assert "{cool" not in text
    text = "\n".join(generated.instrument_lines())
    assert all(f"``{name}``" in text for name in list_instruments())


@pytest.mark.parametrize("name", [entry.name for entry in list_models()])
def test_every_packaged_model_has_a_page(generated, name):
    assert f".. model-header:: {name}" in (DOCS / "models" / f"{name}.rst").read_text()
    assert any("SHA-256" in line for line in generated.model_lines(name))


def _pages_of_the_reference():
    """Objects that have a page in the reference, by their public names."""
    module = ""
    for line in (DOCS / "reference" / "api.rst").read_text().splitlines():
        if line.startswith(".. currentmodule:: "):
            module = line.split()[-1]
        elif re.fullmatch(r"   \w+", line):
            yield f"{module}.{line.strip()}"


@pytest.mark.parametrize("name", list(_pages_of_the_reference()) if DOCS.exists() else [])
def test_every_page_of_the_reference_has_an_example(name):
    module, _, short = name.rpartition(".")
    documented = getattr(importlib.import_module(module), short).__doc__
    elsewhere = DOCS / "reference" / "examples" / f"{name}.rst"
    assert ">>>" in (elsewhere.read_text() if elsewhere.exists() else documented)


def test_plain_text_stays_plain(generated):
    assert generated.escaped("a_b *c* `d` |e|") == r"a\_b \*c\* \`d\` \|e\|"


def test_the_readme_is_whole():
    """Each section once; the first command and the licence are there."""
    text = (ROOT / "README.rst").read_text()
    titles = re.findall(r"^(.+)\n(?:-{4,}|={4,})$", text, flags=re.MULTILINE)
    assert len(titles) == len(set(titles)) >= 6
    assert text.count("sedflux predict --demo") == 1
    assert text.rstrip().endswith("``licenses/``.")


def test_stories_run_in_the_build_alone():
    """Collecting doctests imports a file, which runs a story: no process of pytest does."""
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    left_out = settings["tool:pytest"]["norecursedirs"].split()
    scripts = {path.parent.relative_to(ROOT).as_posix() for path in DOCS.rglob("*.py")}
    assert scripts - {"docs", *left_out} == set()


def test_the_root_has_the_licence():
    assert (ROOT / "LICENSE.rst").read_text() == (ROOT / "licenses" / "LICENSE.rst").read_text()


def _distribution(requirement):
    return re.split(r"[<>=\[ ]", requirement)[0].lower().replace("-", "_")


def test_what_is_imported_is_required():
    """Every package that a module imports is a dependency, or in an extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    required = {_distribution(one) for one in [
        *project["dependencies"], *extras["catalog"], *extras["completion"]]}
    required = {"yaml" if name == "pyyaml" else name for name in required}
    imported = set()
    for path in Path(sedflux.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                imported.add(node.module.partition(".")[0])
    assert imported - set(sys.stdlib_module_names) - {"sedflux"} <= required
