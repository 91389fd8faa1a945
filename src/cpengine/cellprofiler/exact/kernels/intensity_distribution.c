/* Distances within objects from their centers, and sums over rings and wedges. */
#include <math.h>

#include "region.h"
#include "visits.h"

/* distances: of the image's pixels; 0 at a center, -1 elsewhere, and in the end where
 * there is no way from a center of the label within the label. is_done: zeros.
 * The same sums of steps in the same order as centrosome.propagate on a black image: that
 * visits all centers first, in an order that does not matter since a step is 1 or more;
 * what comes after is always below the centers in its heap, and in order.
 * Returns 0 where there is no memory. */
static int walk(const region *r, double *distances, uint8_t *is_done, visits *heap)
{
    const double step[2] = {1, sqrt(2.)};
    for (int64_t row = 0; row < r->rows; row++)
        for (int64_t column = 0; column < r->width; column++) {
            const int64_t place = row * r->columns + column;
            if (is_in(r, row, column) && distances[place] == 0)
                if (!append(heap, visit_at(0, 1, place)))
                    return 0;
        }
    while (heap->size > 0) {
        const int64_t here = place_of(pop(heap));
        const int64_t row = here / r->columns, column = here % r->columns;
        if (is_done[here])
            continue;
        is_done[here] = 1;
        for (int64_t down = -1; down <= 1; down++)
            for (int64_t right = -1; right <= 1; right++) {
                const int64_t there = here + down * r->columns + right;
                if (!is_in(r, row + down, column + right) || is_done[there])
                    continue;
                const double far = step[down && right] + distances[here];
                if (distances[there] != -1 && distances[there] <= far)
                    continue;
                distances[there] = far;
                if (!push(heap, visit_at(far, 1, there)))
                    return 0;
            }
    }
    return 1;
}

/* Returns -1 where there is no memory. */
EXPORT int64_t cpengine_center_distances(
    const int32_t *labels, int64_t columns, int64_t regions, const int64_t *fives,
    double *distances, uint8_t *is_done)
{
    visits heap = {NULL, 0, 0};
    int is_well = 1;
    for (int64_t i = 0; is_well && i < regions; i++) {
        const int64_t *five = fives + 5 * i, first = five[1] * columns + five[2];
        const region r = region_of(labels, columns, five);
        is_well = walk(&r, distances + first, is_done + first, &heap);
    }
    free(heap.items);
    return is_well ? 0 : -1;
}

/* Adds values to the sums of their rings and, of eight in each, of their wedges: one
 * after the other, in the values' own precision, as scipy's coo_todense does.
 * place: for each value, object and ring, times 8, and wedge. */
#define SUMS(name, type)                                                               \
    EXPORT int64_t name(int64_t values, const int64_t *place, const type *value,       \
                        type *rings, type *wedges)                                     \
    {                                                                                  \
        for (int64_t i = 0; i < values; i++) {                                         \
            rings[place[i] >> 3] += value[i];                                          \
            wedges[place[i]] += value[i];                                              \
        }                                                                              \
        return 0;                                                                      \
    }

SUMS(cpengine_ring_sums_float32, float)
SUMS(cpengine_ring_sums_float64, double)
