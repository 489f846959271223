"""
Where models live: packaged, on disk, or fetched by name.

Models are named ``arch.tag``.  The default is packaged and works offline.  Others are
looked for in ``$SEDFLUX_DATA_DIR`` (or the user's cache), and downloaded there from the
first base address that has them.  Addresses in ``$SEDFLUX_BASE_URLS`` (separated by spaces)
are tried before those of the registry.  Every file of a registered model is checked against
its SHA-256.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sedflux.exceptions import InputError, ModelError, WeightsError
from sedflux.io.download import DownloadError, fetch_file, file_hash

if TYPE_CHECKING:
    from sedflux.libraries.labels import LabelSet

__all__ = ["AUTO", "DEFAULT_MODEL", "WHITE_DWARF_MODEL", "ModelEntry", "find_model", "list_models",
           "model_labels", "registry"]

#: Name of the model that is used when none is given.
DEFAULT_MODEL = "uara.stars2"
#: Name of the packaged model of hydrogen white dwarfs.
WHITE_DWARF_MODEL = "uara.da1"
#: Stands for the packaged model that explains a spectrum best.
AUTO = "auto"
#: ``arch.tag``; a name becomes the name of a file, and must not lead out of its folder.
_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+")
_SHA256 = re.compile(r"[0-9a-f]{64}")
#: Files whose hash is kept, as long as they do not change.
_KEPT_HASHES = 16


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

    Raises
    ------
    ValueError
        If an attribute is no such thing.

    Examples
    --------
    >>> from sedflux import list_models
    >>> entry = list_models()[0]
    >>> entry.packaged, len(entry.sha256)
    (True, 64)
    """

    name: str
    sha256: str
    packaged: bool
    description: str

    def __post_init__(self):
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"model name {self.name!r} is not of the form 'arch.tag'")
        if not (isinstance(self.sha256, str) and _SHA256.fullmatch(self.sha256)):
            raise ValueError(f"sha256 of {self.name} is {self.sha256!r}; 64 hexadecimal digits "
                             "in lower case are needed")
        if not isinstance(self.packaged, bool):
            raise ValueError(f"packaged of {self.name} is {self.packaged!r}; true or false is "
                             "needed")
        if not isinstance(self.description, str):
            raise ValueError(f"description of {self.name} is {self.description!r}; a text is "
                             "needed")

    @property
    def filename(self) -> str:
        """Name of the file, in the package or under a base address."""
        return f"{self.name}.safetensors"


def _data_folder():
    return resources.files("sedflux") / "data"


def _entry(name: str, content: Any) -> ModelEntry:
    """The entry of one model, from the registry's JSON."""
    fields = ("sha256", "packaged", "description")
    if not isinstance(content, Mapping) or set(content) != set(fields):
        raise ValueError(f"entry of {name} is {content!r}; {', '.join(fields)} are needed, and "
                         "nothing else")
    return ModelEntry(name, **content)


def registry(path: str | os.PathLike[str] | None = None
             ) -> tuple[dict[str, ModelEntry], list[str]]:
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

    Raises
    ------
    sedflux.exceptions.WeightsError
        If the file cannot be read, or is no registry.
    """
    path = path or os.environ.get("SEDFLUX_REGISTRY")
    source = Path(path) if path else _data_folder() / "registry.json"
    try:
        content = json.loads(source.read_text(encoding="utf-8"))
        if not isinstance(content, dict) or not isinstance(content.get("models"), dict):
            raise ValueError("it has no entry 'models'")
        urls = content.get("base_urls")
        if not isinstance(urls, list) or not all(isinstance(url, str) for url in urls):
            raise ValueError(f"base_urls is {urls!r}; a list of addresses is needed")
        return {name: _entry(name, entry) for name, entry in content["models"].items()}, urls
    except (OSError, ValueError, RecursionError) as error:
        raise WeightsError(f"registry {str(source)!r} cannot be read: {error}; mend the file, or "
                           "unset SEDFLUX_REGISTRY to use the packaged one") from error


def list_models() -> list[ModelEntry]:
    """
    Registered models, packaged ones first; a list of `ModelEntry`.

    Examples
    --------
    >>> from sedflux import list_models
    >>> [entry.name for entry in list_models()]
    ['uara.da1', 'uara.stars2', 'uara.synthetic3']
    """
    return sorted(registry()[0].values(), key=lambda entry: (not entry.packaged, entry.name))


def _cache_folder():
    import pooch

    return Path(os.environ.get("SEDFLUX_DATA_DIR") or pooch.os_cache("sedflux"))


def find_model(model: str | os.PathLike[str] | None = None) -> Path:
    """
    Path of a model's file; downloads it if it is not on this machine.

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
        If its file is missing, differs from its hash, or cannot be downloaded.

    Examples
    --------
    >>> from sedflux.predict.models import find_model
    >>> find_model().name
    'uara.stars2.safetensors'
    """
    if not isinstance(model, (str, os.PathLike, type(None))):
        raise ModelError(f"model is {model!r}; give a name, such as {DEFAULT_MODEL!r}, or the path "
                         "of a .safetensors file")
    name = DEFAULT_MODEL if model is None else os.fsdecode(model)
    if name.endswith(".safetensors") or os.sep in name:
        path = Path(name).expanduser()
        if not path.exists():
            raise WeightsError(f"model file {name!r} does not exist; give the path of a model")
        if not path.is_file():
            raise WeightsError(f"model file {name!r} is no regular file; give the path of a model")
        return path
    if name == AUTO:
        raise ModelError(f"model {AUTO!r} is a choice between two models; for arrays use "
                         "sedflux.predict.chooser.Chooser() in the place of Predictor()")
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


def model_labels(metadata: Mapping[str, Any], path: object) -> LabelSet:
    """
    The labels of a model, from its header; those of stars if it does not say.

    Parameters
    ----------
    metadata : dict
    path : path-like
        Of the file, for messages.

    Raises
    ------
    sedflux.exceptions.ModelError
        If this sedflux knows no such labels.
    """
    from sedflux.libraries.labels import LABELS, find_label_set

    try:
        return find_label_set(metadata.get("labels", LABELS))
    except InputError as error:
        raise ModelError(f"model file {str(path)!r} cannot be used: {error}; it was written by a "
                         "newer sedflux: upgrade") from error


def _checked(path, entry):
    """The path, if the file is there and has the registered hash."""
    if not path.is_file():
        raise WeightsError(f"model {entry.name} is not at {str(path)!r}; install sedflux again")
    found = model_hash(path)
    if found != entry.sha256:
        raise WeightsError(
            f"model {entry.name} at {str(path)!r} has the SHA-256 {found[:12]}... instead of "
            f"{entry.sha256[:12]}...: the file is damaged or another one; remove it and try again"
        )
    return path


def model_hash(path: Path) -> str:
    """
    SHA-256 of a model's file, computed once while it does not change.

    Parameters
    ----------
    path : `~pathlib.Path`
    """
    state = path.stat()
    return _hash_once(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=_KEPT_HASHES)
def _hash_once(path, size, time):
    """Hash of a file; another size or time of it is another file."""
    return file_hash(path)


def _fetched(entry, base_urls):
    """The file in the cache; downloaded from the first address that has it."""
    folder = _cache_folder()
    path = folder / entry.filename
    if path.exists():
        return _checked(path, entry)
    bases = os.environ.get("SEDFLUX_BASE_URLS", "").split() + base_urls
    try:
        fetch_file([f"{base.rstrip('/')}/{entry.filename}" for base in bases], path,
                   sha256=entry.sha256)
    except DownloadError as error:
        raise WeightsError(
            f"model {entry.name} is not on this machine and cannot be downloaded.\n  {error}\n"
            f"Put the file {entry.filename} (SHA-256 {entry.sha256}) into {str(folder)!r}, "
            "or set SEDFLUX_DATA_DIR to a folder that has it, or SEDFLUX_BASE_URLS to an "
            "address that serves it."
        ) from error
    return path
