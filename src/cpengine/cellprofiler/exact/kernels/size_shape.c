/* What can be counted of regions of a label image: everything here is whole numbers.
 *
 * A region is five numbers: its label, first row, first column, row and column after the
 * last. Pixels of other labels in its box are background, as is all outside the box.
 */
#include "common.h"

enum { PERIMETERS = 50 };

typedef struct {
    const int32_t *labels;
    int64_t columns, rows, width;
    int32_t label;
} region;

static region region_of(const int32_t *labels, int64_t columns, const int64_t *five)
{
    region r = {labels + five[1] * columns + five[2], columns, five[3] - five[1],
                five[4] - five[2], (int32_t)five[0]};
    return r;
}

static int is_in(const region *r, int64_t row, int64_t column)
{
    return row >= 0 && column >= 0 && row < r->rows && column < r->width &&
           r->labels[row * r->columns + column] == r->label;
}

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
EXPORT void cpengine_count_regions(const int32_t *labels, int64_t columns,
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
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static int64_t floor_divided(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && (a % b < 0) != (b < 0));
}

/* How far each pixel is from the background in its column. */
static void vertical_distances(const region *r, int64_t *far)
{
    for (int64_t column = 0; column < r->width; column++) {
        int64_t before = 0;
        for (int64_t row = 0; row < r->rows; row++) {
            before = is_in(r, row, column) ? before + 1 : 0;
            far[row * r->width + column] = before;
        }
        before = 0;
        for (int64_t row = r->rows - 1; row >= 0; row--) {
            int64_t *here = far + row * r->width + column;
            before = *here = least(*here, before + 1);
        }
    }
}

/* The lower envelope of parabolas (Meijster, Roerdink, Hesselink 2000) of a row, with a
 * column of background at both of its ends. far: of the row; place, from: of at least
 * width + 2 numbers. squares: for the width + 2 columns. */
static void row_squares(int64_t width, const int64_t *far, int64_t *place,
                        int64_t *from, int64_t *squares)
{
    const int64_t n = width + 2;
    int64_t q = 0;
#define FAR(u) ((u) == 0 || (u) == n - 1 ? 0 : far[(u) - 1])
#define SQUARE(u, i) (((u) - (i)) * ((u) - (i)) + FAR(i) * FAR(i))
    place[0] = from[0] = 0;
    for (int64_t u = 1; u < n; u++) {
        while (q >= 0 && SQUARE(from[q], place[q]) > SQUARE(from[q], u))
            q--;
        if (q < 0) {
            q = 0;
            place[0] = u;
            from[0] = 0;
            continue;
        }
        const int64_t i = place[q];
        const int64_t after = 1 + floor_divided(
            u * u - i * i + FAR(u) * FAR(u) - FAR(i) * FAR(i), 2 * (u - i));
        if (after < n) {
            q++;
            place[q] = u;
            from[q] = after;
        }
    }
    for (int64_t u = n - 1; u >= 0; u--) {
        squares[u] = SQUARE(u, place[q]);
        if (u == from[q])
            q--;
    }
#undef SQUARE
#undef FAR
}

/* squares: of the distance of each region's pixels to the nearest pixel outside of it,
 * region after region, row after row. work: of the largest box's pixels and three times
 * two more than its columns. */
EXPORT void cpengine_square_distances(const int32_t *labels, int64_t columns,
                                      int64_t regions, const int64_t *fives,
                                      int64_t *work, int64_t *squares)
{
    for (int64_t i = 0; i < regions; i++) {
        const region r = region_of(labels, columns, fives + 5 * i);
        int64_t *place = work + r.rows * r.width, *from = place + r.width + 2;
        int64_t *of_row = from + r.width + 2;
        vertical_distances(&r, work);
        for (int64_t row = 0; row < r.rows; row++) {
            row_squares(r.width, work + row * r.width, place, from, of_row);
            for (int64_t column = 0; column < r.width; column++)
                if (is_in(&r, row, column))
                    *squares++ = of_row[column + 1];
        }
    }
}
