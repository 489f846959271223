"""
Tests in environments of their own: ``nox`` runs all, ``nox -s oldest`` one.

``tests`` takes the newest release of every requirement, ``pinned`` the tested set of
``constraints.txt``, and ``oldest`` the least versions that ``pyproject.toml`` allows, which uv
finds.  Tests may be named: ``nox -s oldest -- tests/predict tests/io``.
"""

import nox

nox.options.default_venv_backend = "uv"
nox.options.sessions = ["pinned", "oldest", "tests"]

#: Least and greatest Python that are tested.
PYTHONS = ["3.11", "3.13"]


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """The newest release of everything."""
    session.install(".[test]")
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session(python=PYTHONS[0])
def pinned(session: nox.Session) -> None:
    """The tested set of versions, as ``.ci/run`` has it."""
    session.install("-c", "constraints.txt", ".[test]")
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session(python=PYTHONS[0])
def oldest(session: nox.Session) -> None:
    """The least versions; old releases warn of what their own requirements deprecate."""
    session.install("--resolution", "lowest-direct", ".[test]")
    session.run("python", "-m", "pytest", "-W", "ignore::DeprecationWarning", *session.posargs)
