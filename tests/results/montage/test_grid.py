"""Wells in their rows and columns, sites in their wells."""

import pytest

from cpengine.errors import ConfigError, InputError
from cpengine.results.montage.grid import (
    LARGEST,
    Grid,
    SiteGrid,
    grid_of,
    natural,
    place,
    site_grid,
)


@pytest.mark.parametrize("well", ["", "17", "A", "A0", "well-1", "ABC1"])
def test_a_well_without_row_and_column_is_refused(well: str) -> None:
    with pytest.raises(InputError, match=rf"^well {well}: tells no row and column: "):
        place(well)


def test_site_10_comes_after_site_9() -> None:
    assert sorted(["10", "9", "s2", "1", "s10"], key=natural) == [
        "1",
        "9",
        "10",
        "s2",
        "s10",
    ]


@pytest.mark.parametrize(
    ("sites", "rows", "columns"),
    [(1, 1, 1), (2, 1, 2), (4, 2, 2), (6, 2, 3), (9, 3, 3)],
)
def test_sites_make_a_square_or_nearly_one(sites: int, rows: int, columns: int) -> None:
    assert SiteGrid.near_square(sites) == SiteGrid(rows, columns)


def test_a_snake_turns_round_in_every_second_row() -> None:
    plain, snake = SiteGrid(2, 3), SiteGrid(2, 3, snake=True)
    assert [plain.place(n) for n in (2, 3, 5)] == [(0, 2), (1, 0), (1, 2)]
    assert [snake.place(n) for n in (2, 3, 5)] == [(0, 2), (1, 2), (1, 0)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", SiteGrid(2, 2)),
        ("snake", SiteGrid(2, 2, snake=True)),
        ("1x4", SiteGrid(1, 4)),
        ("4x2, snake", SiteGrid(4, 2, snake=True)),
    ],
)
def test_a_site_grid_is_read(text: str, expected: SiteGrid) -> None:
    assert site_grid(text, 4) == expected


@pytest.mark.parametrize("text", ["3", "3x", "0x4", "snail", "2x2,2x2"])
def test_another_site_grid_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=f"^--site-grid {text}: is no grid: "):
        site_grid(text, 4)


def test_a_site_grid_without_room_is_refused() -> None:
    with pytest.raises(ConfigError, match="has no room for 5 sites: make it larger"):
        site_grid("2x2", 5)


def test_a_montage_of_some_wells_has_their_rows_and_columns() -> None:
    grid = grid_of(["B03", "D07", "C02"], SiteGrid())
    assert (grid.rows, grid.columns) == (range(1, 4), range(1, 7))


def test_a_montage_has_all_of_a_plate_whose_shape_is_known() -> None:
    grid = grid_of(["B03"], SiteGrid(), (16, 24))
    assert (grid.rows, grid.columns) == (range(16), range(24))


def test_no_two_tiles_touch_and_all_are_inside() -> None:
    grid = Grid(range(2, 5), range(3, 6), SiteGrid(2, 3, snake=True), (50, 30))
    seen: set[tuple[int, int]] = set()
    for row in grid.rows:
        for column in grid.columns:
            for site in range(6):
                x, y = grid.site_corner((row, column), site)
                pixels = {
                    (i, j) for i in range(x - 1, x + 51) for j in range(y - 1, y + 31)
                }
                assert not pixels & seen
                seen |= pixels
    across, down = zip(*seen, strict=True)
    assert min(across) >= 0
    assert min(down) >= 0
    assert max(across) < grid.size[0]
    assert max(down) < grid.size[1]


def test_tiles_are_as_large_as_the_whole_allows() -> None:
    grid = Grid(range(16), range(24), SiteGrid()).with_tile((1080, 1080), None)
    assert LARGEST - 24 * 2 < max(grid.size) <= LARGEST


def test_tiles_are_never_larger_than_the_picture() -> None:
    grid = Grid(range(1), range(2), SiteGrid()).with_tile((640, 480), 2000)
    assert grid.tile == (640, 480)


def test_tiles_keep_the_shape_of_the_picture() -> None:
    grid = Grid(range(1), range(2), SiteGrid()).with_tile((640, 480), 320)
    assert grid.tile == (320, 240)


def test_tiles_that_make_too_large_a_montage_are_refused() -> None:
    grid = Grid(range(16), range(24), SiteGrid(3, 3))
    with pytest.raises(ConfigError, match=r"^--tile-size 2000: makes a montage of "):
        grid.with_tile((2160, 2160), 2000)
