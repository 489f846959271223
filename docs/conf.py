"""Configuration of the documentation."""

import warnings
from importlib.metadata import version as _version

from sphinx_astropy.conf.v1 import *  # noqa: F403
from sphinx_astropy.conf.v1 import exclude_patterns, extensions

project = "sedflux"
author = "the sedflux developers"
copyright = "2026, the sedflux developers"
version = release = _version("sedflux")
html_title = "sedflux"
html_theme = "pydata_sphinx_theme"
html_theme_options = {"navigation_with_keys": False}
html_static_path = []
templates_path = []

extensions += ["sphinx_gallery.gen_gallery"]
exclude_patterns += ["gallery/**", "_build", "accuracy/*.rst"]
automodapi_toctreedirnm = "api"
numpydoc_xref_param_type = False
nitpicky = False
suppress_warnings = ["config.cache"]

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "gallery_built",
    "filename_pattern": "/story_",
    "download_all_examples": False,
    "show_signature": False,
    "abort_on_example_error": True,
}
# matplotlib under sphinx draws to files: showing figures is not meant.
warnings.filterwarnings("ignore", message=".*non-interactive.*")
