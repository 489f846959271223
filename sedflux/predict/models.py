"""
Where models live: packaged, on disk, or fetched by name.

Models are named ``arch.tag``.  The default is packaged and works offline.  Others
are looked for in ``$SEDFLUX_DATA_DIR`` (or the user's cache), and fetched there
from the first base address that answers; ``$SEDFLUX_BASE_URLS`` (separated by
spaces) comes before the built-in ones.  Every file is checked against its SHA-256.
"""

import json
import os
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from sedflux.exceptions import ModelError, WeightsError
from sedflux.io.download import file_hash

__all__ = ["DEFAULT_MODEL", "ModelEntry", "find_model", "list_models", "registry"]

#: Name of the model that is used when none is given.
DEFAULT_MODEL = "uara.stars1"


@dataclass(frozen=True)
class ModelEntry:
    """
    A registered model.

    Attributes
    ----------
    name : str
        ``arch.tag``.
    sha256 : str
        Hash of the file.
    packaged : bool
        Whether it comes with sedflux.
    description : str
        One line for people.
    """

    name: str
    sha256: str
    packaged: bool
    description: str

    @property
    def filename(self):
        """Name of the file, in the package or under a base address."""
        return f"{self.name}.safetensors"


def _data_folder():
    return resources.files("sedflux") / "data"


def registry(path=None):
    """
    Registered models by name.

    Parameters
    ----------
    path : path-like, optional
        Another registry, as JSON; `$SEDFLUX_REGISTRY` or the packaged one by default.

    Returns
    -------
    entries : dict of str to `ModelEntry`
    base_urls : list of str
    """
    path = path or os.environ.get("SEDFLUX_REGISTRY")
    source = Path(path) if path else _data_folder() / "registry.json"
    try:
        content = json.loads(source.read_text())
        entries = {name: ModelEntry(name, **entry) for name, entry in content["models"].items()}
        return entries, list(content["base_urls"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"registry {str(source)!r} cannot be read: {error}") from error


def list_models():
    """Registered models, packaged ones first; a list of `ModelEntry`."""
    return sorted(registry()[0].values(), key=lambda entry: (not entry.packaged, entry.name))


def _cache_folder():
    import pooch

    return Path(os.environ.get("SEDFLUX_DATA_DIR") or pooch.os_cache("sedflux"))


def find_model(model=None):
    """
    Path of a model's file; fetches it if it must.

    Parameters
    ----------
    model : str or path-like, optional
        A registered name, or the path of a ``.safetensors`` file.

    Returns
    -------
    path : `~pathlib.Path`

    Raises
    ------
    sedflux.exceptions.ModelError
        If no such model is known.
    sedflux.exceptions.WeightsError
        If its file is missing, differs from its hash, or cannot be fetched.

    Examples
    --------
    >>> from sedflux.predict.models import find_model
    >>> find_model().name
    'uara.stars1.safetensors'
    """
    name = DEFAULT_MODEL if model is None else os.fspath(model)
    if name.endswith(".safetensors") or os.sep in name:
        path = Path(name)
        if not path.is_file():
            raise WeightsError(f"model file {name!r} does not exist; give the path of a model")
        return path
    entries, base_urls = registry()
    if name not in entries:
        raise ModelError(
            f"model {name!r} is unknown; choose one of {', '.join(sorted(entries))}, "
            "or give the path of a .safetensors file"
        )
    entry = entries[name]
    if entry.packaged:
        return _checked(Path(str(_data_folder() / entry.filename)), entry)
    return _fetched(entry, base_urls)


def _checked(path, entry):
    """The path, if the file is there and what it should be."""
    if not path.is_file():
        raise WeightsError(f"model {entry.name} is not at {str(path)!r}; install sedflux again")
    found = file_hash(path)
    if found != entry.sha256:
        raise WeightsError(
            f"model {entry.name} at {str(path)!r} has the SHA-256 {found[:12]}... instead of "
            f"{entry.sha256[:12]}...: the file is damaged or another one; remove it and try again"
        )
    return path


def _fetched(entry, base_urls):
    """The file in the cache; downloaded from the first address that has it."""
    import pooch
    import requests

    folder = _cache_folder()
    path = folder / entry.filename
    if path.exists():
        return _checked(path, entry)
    addresses = os.environ.get("SEDFLUX_BASE_URLS", "").split() + base_urls
    failures = []
    for base in addresses:
        url = f"{base.rstrip('/')}/{entry.filename}"
        try:
            pooch.retrieve(url, known_hash=f"sha256:{entry.sha256}", fname=entry.filename,
                           path=folder, progressbar=False,
                           downloader=pooch.HTTPDownloader(timeout=30))
            return path
        except (requests.RequestException, OSError, ValueError) as error:
            failures.append(f"{url}: {type(error).__name__}: {str(error).splitlines()[0]}")
    tried = "\n  ".join(failures) or "no address is known"
    raise WeightsError(
        f"model {entry.name} is not on this machine and cannot be fetched.\n  {tried}\n"
        f"Put the file {entry.filename} (SHA-256 {entry.sha256}) into {str(folder)!r}, "
        "or set SEDFLUX_DATA_DIR to a folder that has it, or SEDFLUX_BASE_URLS to an "
        "address that serves it."
    )
