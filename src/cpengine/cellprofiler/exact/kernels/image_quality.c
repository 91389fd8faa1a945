/* What MeasureImageQuality asks numpy and scipy for, each in one pass.
 *
 * All sums are added up in the order of the pixels, row by row, as numpy's bincount and
 * cumsum do; all other operations are single IEEE operations on the same operands.
 */
#include "common.h"

#include <math.h>

/* The sum of an image's pixels in each cell of a grid: cells[rows[i] + columns[j]]. */
EXPORT void cpengine_cell_sums(const double *pixels, int64_t height, int64_t width,
                               const int64_t *rows, const int64_t *columns,
                               double *sums) {
    for (int64_t i = 0; i < height; i++)
        for (int64_t j = 0; j < width; j++)
            sums[rows[i] + columns[j]] += pixels[i * width + j];
}

/* The sum of the squared differences from a cell's mean. */
EXPORT void cpengine_cell_squares(const double *pixels, int64_t height, int64_t width,
                                  const int64_t *rows, const int64_t *columns,
                                  const double *means, double *sums) {
    for (int64_t i = 0; i < height; i++)
        for (int64_t j = 0; j < width; j++) {
            int64_t cell = rows[i] + columns[j];
            double difference = pixels[i * width + j] - means[cell];
            sums[cell] += difference * difference;
        }
}

/* Eight levels of a pixel's height above the lowest, as a part of the whole range.
 *
 * centrosome's floor division of a quotient of 0 to 1 by 1/8 is the floor of eight times
 * it, as a product with a power of two is exact.
 */
EXPORT void cpengine_eight_levels(const double *above, int64_t count, double range,
                                  uint8_t *levels) {
    for (int64_t i = 0; i < count; i++) {
        int level = (int)(above[i] / range * 8.0);
        levels[i] = (uint8_t)(level > 7 ? 7 : level);
    }
}

/* How often a level has another one so many pixels to its right: counts[8 * a + b]. */
EXPORT void cpengine_neighbours(const uint8_t *levels, int64_t height, int64_t width,
                                int64_t scale, int64_t *counts) {
    for (int64_t i = 0; i < height; i++) {
        const uint8_t *row = levels + i * width;
        for (int64_t j = 0; j + scale < width; j++)
            counts[8 * row[j] + row[j + scale]]++;
    }
}

/* centrosome's running_variance: the variance of the first i + 1 values.
 *
 * The sum is of the values' own type, as that of cumsum; all else is double.
 */
#define RUNNING_VARIANCE(TYPE, NAME)                                                   \
    EXPORT void NAME(const TYPE *values, int64_t count, double *variance) {            \
        TYPE sum = values[0];                                                          \
        double mean = (double)sum / 1.0, squares = 0.0;                                \
        variance[0] = 0.0;                                                             \
        for (int64_t i = 1; i < count; i++) {                                          \
            sum += values[i];                                                          \
            double next = (double)sum / (double)(i + 1);                               \
            double product = ((double)values[i] - mean) * ((double)values[i] - next);  \
            squares = i == 1 ? product : squares + product;                            \
            variance[i] = squares / (double)i;                                         \
            mean = next;                                                               \
        }                                                                              \
    }

RUNNING_VARIANCE(float, cpengine_running_variance_f)
RUNNING_VARIANCE(double, cpengine_running_variance_d)
