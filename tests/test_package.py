"""What importing costs, and which module may import what."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import sedflux

ROOT = Path(sedflux.__file__).parent


def test_import_loads_neither_torch_nor_specutils():
    code = ("import sys, sedflux; "
            "print(sorted({'torch', 'specutils', 'synphot', 'scipy', 'matplotlib'} "
            "& set(sys.modules)))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", sedflux.__all__)
def test_public_names_exist(name):
    assert getattr(sedflux, name) is not None
    assert name in dir(sedflux)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'magic'"):
        sedflux.magic  # noqa: B018


def _imports(path):
    """Top-level packages and sedflux modules that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(node.module)
    return found


# Where each heavy package may be imported, relative to the package.
HOMES = {
    "torch": ("network/", "training/", "predict.py", "validation/speed.py"),
    "specutils": ("spectrum.py", "libraries/", "prediction.py", "report.py", "response/",
                  "simulate.py", "demo.py", "validation/response.py"),
    "synphot": ("photometry.py", "response/", "instrument.py", "simulate.py",
                "validation/stars.py"),
    "pooch": ("weights.py",),
}


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_one_way(path):
    relative = path.relative_to(ROOT).as_posix()
    imports = _imports(path)
    for package, homes in HOMES.items():
        if any(name == package or name.startswith(package + ".") for name in imports):
            assert relative.startswith(homes), f"{relative} must not import {package}"
    if relative in ("grids.py", "resolution.py", "continuum.py"):
        allowed = ("numpy", "scipy", "sedflux.grids")
        assert all(name.startswith(allowed) for name in imports)
    if not relative.startswith(("cli.py", "report.py", "validation/",
                                "training/calibrate.py", "simulate.py", "__main__")):
        assert "sedflux.predict" not in imports, f"{relative} imports the pipeline"


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_every_module_has_a_docstring_and_all(path):
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree)
    if path.name not in ("__init__.py", "__main__.py", "_version.py"):
        names = {target.id for node in tree.body if isinstance(node, ast.Assign)
                 for target in node.targets if isinstance(target, ast.Name)}
        assert "__all__" in names
