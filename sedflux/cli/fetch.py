"""The command ``sedflux fetch-library``."""

from sedflux.exceptions import SedfluxError

__all__ = ["run_fetch"]


def run_fetch(arguments):
    """Run ``sedflux fetch-library``."""
    from sedflux.libraries.archive import list_files
    from sedflux.libraries.bosz import read_bosz
    from sedflux.libraries.fetch import fetch_files
    from sedflux.libraries.library import write_library

    files = list_files(arguments.name, select=arguments.select, files=arguments.files,
                       resolving_power=arguments.resolving_power)
    present = fetch_files(arguments.name, files, arguments.folder, base_url=arguments.base_url,
                          workers=arguments.workers, progress=True)
    print(f"{len(present)} of {len(files)} files of {arguments.name} are in {arguments.folder}")
    if arguments.output:
        if not arguments.name.startswith("bosz"):
            raise SedfluxError("--output makes one library of BOSZ models alone; leave it out")
        library = read_bosz(arguments.name, present, arguments.folder,
                            resolving_power=arguments.resolving_power)
        write_library(arguments.output, library)
        print(f"wrote {arguments.output}, {len(library)} models")
