"""The regions of a label image as kernels take them, and distances in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy

from .kernel_calls import call

if TYPE_CHECKING:
    from .label_images import Labels


class Regions:
    """The regions of a label image, those that have pixels."""

    def __init__(self, known: Labels) -> None:
        self.labels = known.image
        self._slices = [
            (i + 1, box) for i, box in enumerate(known.boxes) if box is not None
        ]
        self.boxes = numpy.array(
            [
                (label, rows.start, columns.start, rows.stop, columns.stop)
                for label, (rows, columns) in self._slices
            ],
            numpy.int64,
        )
        """Of each: label, first row and column, those after the last."""
        self.areas = numpy.bincount(self.labels.ravel())[self.boxes[:, 0]]

    def images(self) -> list[Any]:
        """Of each: which pixels of its box are its."""
        return [self.labels[box] == label for label, box in self._slices]

    def square_distances(self, beyond: bool) -> list[Any]:
        """Of each: its pixels' squared distances to the nearest that is not its.

        Parameters
        ----------
        beyond
            Whether there is background beyond the image; else there is nothing.
        """
        rows, columns = self.labels.shape
        nothing = 1 if beyond else rows + columns
        sizes = self.boxes[:, 3:] - self.boxes[:, 1:3]
        most = sizes.prod(axis=1).max() + 4 * (sizes[:, 1].max() + 2)
        work = numpy.empty(most, numpy.int64)
        squares = numpy.empty(int(self.areas.sum()), numpy.int64)
        boxes = (len(self.boxes), self.boxes, nothing)
        call("square_distances", self.labels, rows, columns, *boxes, work, squares)
        return numpy.split(squares, numpy.cumsum(self.areas[:-1]))
