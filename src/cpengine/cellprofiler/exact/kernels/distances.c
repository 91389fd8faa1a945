/* Squares of distances of pixels to the nearest pixel outside of their region.
 *
 * They are whole numbers, so that their roots are those of any exact distance transform.
 * The nearest pixel outside of a region is in the region's box or beside it. Beyond the
 * image there is either background or nothing at all, as the caller says.
 */
#include "region.h"

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static int64_t floor_divided(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && (a % b < 0) != (b < 0));
}

/* How far each pixel is from what is outside in its column; above, below: how far what
 * is outside is from the first row and from the last. */
static void vertical_distances(const region *r, int64_t above, int64_t below,
                               int64_t *far)
{
    for (int64_t column = 0; column < r->width; column++) {
        int64_t before = above - 1;
        for (int64_t row = 0; row < r->rows; row++) {
            before = is_in(r, row, column) ? before + 1 : 0;
            far[row * r->width + column] = before;
        }
        before = below - 1;
        for (int64_t row = r->rows - 1; row >= 0; row--) {
            int64_t *here = far + row * r->width + column;
            before = *here = least(*here, before + 1);
        }
    }
}

static int64_t square(int64_t u, int64_t i, const int64_t *far)
{
    return (u - i) * (u - i) + far[i] * far[i];
}

/* The lower envelope of the parabolas of a row (Meijster, Roerdink, Hesselink 2000).
 * far: of each of n columns; place, from: of n numbers; squares: the result. */
static void row_squares(int64_t n, const int64_t *far, int64_t *place, int64_t *from,
                        int64_t *squares)
{
    int64_t q = 0;
    place[0] = from[0] = 0;
    for (int64_t u = 1; u < n; u++) {
        while (q >= 0 && square(from[q], place[q], far) > square(from[q], u, far))
            q--;
        if (q < 0) {
            q = 0;
            place[0] = u;
            continue;
        }
        const int64_t i = place[q];
        const int64_t after = 1 + floor_divided(
            u * u - i * i + far[u] * far[u] - far[i] * far[i], 2 * (u - i));
        if (after < n) {
            q++;
            place[q] = u;
            from[q] = after;
        }
    }
    for (int64_t u = n - 1; u >= 0; u--) {
        squares[u] = square(u, place[q], far);
        if (u == from[q])
            q--;
    }
}

/* squares: of the pixels of each region, region after region, row after row.
 * work: of the largest box's pixels and four times two more than its columns.
 * nothing: more than any distance in the image where there is nothing beyond the image;
 * 1 where there is background. */
EXPORT int64_t cpengine_square_distances(
    const int32_t *labels, int64_t rows, int64_t columns, int64_t regions,
    const int64_t *fives, int64_t nothing, int64_t *work, int64_t *squares)
{
    for (int64_t i = 0; i < regions; i++) {
        const int64_t *five = fives + 5 * i;
        const region r = region_of(labels, columns, five);
        int64_t *far = work + r.rows * r.width, *place = far + r.width + 2;
        int64_t *from = place + r.width + 2, *of_row = from + r.width + 2;
        vertical_distances(&r, five[1] ? 1 : nothing, five[3] < rows ? 1 : nothing,
                           work);
        far[0] = five[2] ? 0 : nothing - 1;
        far[r.width + 1] = five[4] < columns ? 0 : nothing - 1;
        for (int64_t row = 0; row < r.rows; row++) {
            for (int64_t column = 0; column < r.width; column++)
                far[column + 1] = work[row * r.width + column];
            row_squares(r.width + 2, far, place, from, of_row);
            for (int64_t column = 0; column < r.width; column++)
                if (is_in(&r, row, column))
                    *squares++ = of_row[column + 1];
        }
    }
    return 0;
}
