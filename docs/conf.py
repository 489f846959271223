"""Configuration of the documentation."""

import sys
import warnings
from importlib.metadata import version as _version
from pathlib import Path

from sphinx_astropy.conf.v1 import *  # noqa: F403
from sphinx_astropy.conf.v1 import exclude_patterns, extensions

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "sedflux"
author = "the sedflux developers"
copyright = "2026, the sedflux developers"
version = release = _version("sedflux")
html_title = "sedflux"
html_theme = "pydata_sphinx_theme"
html_theme_options = {
    "navigation_with_keys": False,
    "header_links_before_dropdown": 7,
    "show_toc_level": 2,
    "navbar_align": "left",
    "secondary_sidebar_items": {"index": [], "**": ["page-toc"]},
    "logo": {"text": "sedflux"},
    "footer_start": ["copyright"],
    "footer_end": ["last-updated"],
}
html_sidebars = {"index": [], "**": ["sidebar-nav-bs"]}
html_static_path = ["_static"]
html_css_files = ["sedflux.css"]
templates_path = ["_templates"]

extensions += ["sphinx_gallery.gen_gallery", "generated"]
exclude_patterns += ["gallery/**", "_build", "accuracy/*.rst", "reference/examples/*.rst"]
numpydoc_xref_param_type = False
autodoc_typehints = "none"
suppress_warnings = ["config.cache"]

# Every name in backquotes is a link, or an error.  Names of other packages are links only where
# the network is there.
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"(numpy|np|npt|astropy|u|scipy|synphot|specutils|matplotlib|torch|pandas|dask"
              r"|distributed|pathlib|argparse|collections|concurrent|logging|sys|typing)\..*"),
    ("py:.*", r"(str|int|float|bool|bytes|dict|list|tuple|set|callable|object|None|True|False"
              r"|optional|mapping|sequence|iterator|ValueError|TypeError|Exception|OSError)"),
]

plot_formats = [("png", 144)]
plot_html_show_formats = False
plot_html_show_source_link = False
plot_include_source = False

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "gallery_built",
    "filename_pattern": "/story_",
    "download_all_examples": False,
    "show_signature": False,
    "remove_config_comments": True,
    "abort_on_example_error": True,
    # What a story prints is its result; the value of its last line is not.
    "capture_repr": (),
    "within_subsection_order": "stories.StoryOrder",
    "image_srcset": ["2x"],
}
# matplotlib under sphinx draws to files: showing figures is not meant.
warnings.filterwarnings("ignore", message=".*non-interactive.*")
