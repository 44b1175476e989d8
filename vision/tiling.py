"""How an image becomes tiles of equal size, and the tags that say which tile is which.

The image is stretched onto the grid whose ratio of sides is nearest to its own. A thumbnail of the
whole image follows the tiles. Source: Nemotron-H, arXiv 2504.03624, section 4.1 and footnote 13.
"""

from functools import lru_cache
from typing import NamedTuple

THUMBNAIL_TAG = "<tile_global_thumbnail>"


class Grid(NamedTuple):
    columns: int
    rows: int

    @property
    def cells(self) -> int:
        return self.columns * self.rows

    @property
    def tiles(self) -> int:
        """Tiles of an image on this grid. An image of one cell needs no thumbnail."""
        return self.cells + (self.cells > 1)


@lru_cache(maxsize=64)
def grids(max_tiles: int) -> tuple[Grid, ...]:
    """Every grid of at most `max_tiles` cells, the smallest first. For 12 there are 35."""
    found = [
        Grid(columns, rows)
        for columns in range(1, max_tiles + 1)
        for rows in range(1, max_tiles // columns + 1)
    ]
    return tuple(sorted(found, key=lambda grid: (grid.cells, grid.columns)))


def choose_grid(width: int, height: int, tile_size: int, max_tiles: int) -> Grid:
    """The grid for an image of width x height pixels.

    The nearest ratio wins. Among equals, a larger grid is taken only if the image has more pixels
    than half of the grid.
    """
    ratio, area = width / height, width * height
    best, least = Grid(1, 1), float("inf")
    for grid in grids(max_tiles):
        difference = abs(ratio - grid.columns / grid.rows)
        enough = area > 0.5 * grid.cells * tile_size**2
        if difference < least or (difference == least and enough):
            best, least = grid, difference
    return best


def tags(grid: Grid) -> list[str]:
    """The tag of each tile of an image on this grid, the thumbnail's last."""
    numbered = [f"<tile_{number:02d}>" for number in range(1, grid.cells + 1)]
    return [*numbered, THUMBNAIL_TAG] if grid.cells > 1 else numbered
