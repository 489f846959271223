"""The order in which the gallery tells its stories."""

from __future__ import annotations

#: From the first step to the last; stories that are not named here follow.
_ORDER = ("first_sed", "coverage", "strangers", "lamost_to_csst", "lines_and_photometry",
          "response_curve", "covariance_ignored", "planning", "white_dwarfs", "small_catalogue")


class StoryOrder:
    """Key of the gallery to sort its files."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __call__(self, filename: str) -> tuple[int, str]:
        """Place of a file among the stories."""
        name = filename.removeprefix("story_").removesuffix(".py")
        return (_ORDER.index(name) if name in _ORDER else len(_ORDER), name)
