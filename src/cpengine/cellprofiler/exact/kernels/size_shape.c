/* What can be counted of the regions of a label image: all of it is whole numbers. */
#include "region.h"

enum { PERIMETERS = 50 };

/* A pixel of the region that has one outside of it beside, above or below. */
static int is_border(const region *r, int64_t row, int64_t column)
{
    return is_in(r, row, column) &&
           !(is_in(r, row - 1, column) && is_in(r, row + 1, column) &&
             is_in(r, row, column - 1) && is_in(r, row, column + 1));
}

/* What a border pixel's neighbours weigh: itself 1, beside 2, across 10. */
static int64_t border_kind(const region *r, int64_t row, int64_t column)
{
    int64_t kind = 1;
    for (int64_t down = -1; down <= 1; down++)
        for (int64_t right = -1; right <= 1; right++)
            if ((down || right) && is_border(r, row + down, column + right))
                kind += down && right ? 10 : 2;
    return kind;
}

/* The Euler number's part of the square whose last pixel this is, of eight neighbours. */
static int64_t euler_part(const region *r, int64_t row, int64_t column)
{
    switch (is_in(r, row, column) + 2 * is_in(r, row - 1, column) +
            4 * is_in(r, row, column - 1) + 8 * is_in(r, row - 1, column - 1)) {
    case 8:
        return 1;
    case 6:
    case 14:
        return -1;
    }
    return 0;
}

/* sums: regions x 4, area, sum of rows, sum of columns, Euler number;
 * kinds: regions x 50, how many border pixels of each kind. */
EXPORT int64_t cpengine_count_regions(const int32_t *labels, int64_t columns,
                                      int64_t regions, const int64_t *fives,
                                      int64_t *sums, int64_t *kinds)
{
    for (int64_t i = 0; i < regions; i++, sums += 4, kinds += PERIMETERS) {
        const int64_t *five = fives + 5 * i;
        const region r = region_of(labels, columns, five);
        for (int64_t row = 0; row <= r.rows; row++)
            for (int64_t column = 0; column <= r.width; column++) {
                sums[3] += euler_part(&r, row, column);
                if (!is_in(&r, row, column))
                    continue;
                sums[0]++;
                sums[1] += five[1] + row;
                sums[2] += five[2] + column;
                if (is_border(&r, row, column))
                    kinds[border_kind(&r, row, column)]++;
            }
    }
    return 0;
}
