"""Which wells and sites of a plate a montage shows, and how they lie. Pure."""

from collections.abc import Collection, Mapping, Sequence

from cpengine.errors import ConfigError, InputError
from cpengine.planning.plan import suggestion
from cpengine.results.montage.grid import SiteGrid, natural, place, site_grid
from cpengine.results.montage.names import Shown
from cpengine.results.montage.options import Options


def wells(on_plate: Collection[str], wanted: frozenset[str]) -> list[str]:
    """The wells to show, row by row.

    Raises
    ------
    InputError
        One that is wanted is not on the plate.
    """
    for well in sorted(wanted - set(on_plate)):
        near = suggestion(well, on_plate)
        raise InputError(f"--well {well}: is not on the plate{near}")
    return sorted(wanted or on_plate, key=place)


def sites(
    shown: Sequence[str], of: Mapping[str, Sequence[str]], options: Options
) -> tuple[dict[Shown, int], SiteGrid]:
    """The sites to show, each with its number in its well; and how they lie there.

    Parameters
    ----------
    shown
        The wells.
    of
        The sites of all wells of the plate.

    Raises
    ------
    ConfigError, InputError
        The grid is too small or not for one site, or no well has the site.
    """
    if options.site_grid and options.sites != "all":
        raise ConfigError("--site-grid: is for several sites: add --sites all")
    if options.sites == "first":
        return {(well, of[well][0]): 0 for well in shown}, SiteGrid()
    known = sorted({site for sites in of.values() for site in sites}, key=natural)
    if options.sites == "all":
        numbers = {site: number for number, site in enumerate(known)}
        found = {(well, site): numbers[site] for well in shown for site in of[well]}
        return found, site_grid(options.site_grid, len(known))
    if options.sites not in known:
        raise InputError(
            f"--sites {options.sites}: is neither first, all nor a site of the plate"
            f"{suggestion(options.sites, known)}"
        )
    return {(well, options.sites): 0 for well in shown}, SiteGrid()


def check_contrast(options: Options, known: Collection[str]) -> None:
    """Refuse limits of what is not shown.

    Raises
    ------
    ConfigError
        A channel or kind that has limits is not among those known.
    """
    for name in options.contrast:
        if name not in known:
            raise ConfigError(
                f"--contrast {name}: is not shown{suggestion(name, known)}"
            )
