/* What MeasureObjectIntensity measures of the pixels of objects.
 *
 * A pixel is named by its place in the image; `labels` has its object. Each object's sum
 * is added up in double precision in the order of the places, as numpy.bincount does it
 * for scipy.ndimage.sum.
 */
#include <math.h>

#include "common.h"
#include "sorting.h"

/* Where an object is beside something else, above, below, left or right of a pixel; the
 * border of the image is nothing else. */
EXPORT int64_t cpengine_object_intensity_edges(
    int64_t height, int64_t width, const int32_t *labels, uint8_t *edges)
{
    for (int64_t y = 0; y < height; y++) {
        for (int64_t x = 0; x < width; x++) {
            const int32_t *at = labels + y * width + x;
            edges[y * width + x] =
                *at != 0 &&
                ((y > 0 && at[-width] != *at) || (y + 1 < height && at[width] != *at) ||
                 (x > 0 && at[-1] != *at) || (x + 1 < width && at[1] != *at));
        }
    }
    return 0;
}

/* Sum, minimum and maximum of each object, and which of the pixels is the first of its
 * maximum. `minima` and `maxima` begin as infinities. Gives 1 if an object has its
 * maximum twice. */
#define DEFINE_EXTREMES(T, C)                                                         \
    EXPORT int64_t cpengine_object_intensity_extremes_##T(                            \
        int64_t n, int64_t n_labels, const int32_t *places, const int32_t *labels,    \
        const C *pixels, double *sums, C *minima, C *maxima, int64_t *positions,      \
        uint8_t *twice)                                                               \
    {                                                                                 \
        for (int64_t k = 0; k < n; k++) {                                             \
            int32_t label = labels[k];                                                \
            C value = pixels[places[k]];                                              \
            sums[label] += (double)value;                                             \
            if (value < minima[label]) minima[label] = value;                         \
            if (value > maxima[label]) {                                              \
                maxima[label] = value;                                                \
                positions[label] = k;                                                 \
                twice[label] = 0;                                                     \
            } else if (value == maxima[label]) {                                      \
                twice[label] = 1;                                                     \
            }                                                                         \
        }                                                                             \
        for (int64_t label = 0; label < n_labels; label++)                            \
            if (twice[label]) return 1;                                               \
        return 0;                                                                     \
    }

/* Sums of x and y times the intensity; the places ascend. */
#define DEFINE_MOMENTS(T, C)                                                          \
    EXPORT int64_t cpengine_object_intensity_moments_##T(                             \
        int64_t n, int64_t width, const int32_t *places, const int32_t *labels,       \
        const C *pixels, double *x_sums, double *y_sums)                              \
    {                                                                                 \
        int64_t y = 0, next_row = width;                                              \
        for (int64_t k = 0; k < n; k++) {                                             \
            int64_t place = places[k];                                                \
            while (place >= next_row) {                                               \
                y++;                                                                  \
                next_row += width;                                                    \
            }                                                                         \
            int64_t x = place - (next_row - width);                                   \
            x_sums[labels[k]] += (double)x * (double)pixels[place];                   \
            y_sums[labels[k]] += (double)y * (double)pixels[place];                   \
        }                                                                             \
        return 0;                                                                     \
    }

/* The values object by object, ascending in each. `ends` begins as the index of each
 * object's first. */
#define DEFINE_SORTED(T, C)                                                           \
    EXPORT int64_t cpengine_object_intensity_sort_##T(                                \
        int64_t n, const int32_t *places, const int32_t *labels, const C *pixels,     \
        item_##T *items, item_##T *spare, int64_t *ends, C *values)                   \
    {                                                                                 \
        for (int64_t k = 0; k < n; k++) {                                             \
            items[k].key = key_##T(pixels[places[k]]);                                \
            items[k].index = (uint32_t)labels[k];                                     \
        }                                                                             \
        const item_##T *sorted = sort_##T(n, items, spare);                           \
        for (int64_t k = 0; k < n; k++)                                               \
            values[ends[sorted[k].index]++] = value_##T(sorted[k].key);               \
        return 0;                                                                     \
    }

/* The distances of sorted values from a middle, ascending. They ascend to both sides of
 * it, rounded as they are, because rounding keeps an order: the sides are merged. */
#define DEFINE_DISTANCES(T, C)                                                        \
    static void distances_##T(int64_t n, const C *values, double middle, double *to)  \
    {                                                                                 \
        int64_t above = 0;                                                            \
        while (above < n && (double)values[above] < middle) above++;                  \
        int64_t below = above - 1;                                                    \
        for (int64_t k = 0; k < n; k++) {                                             \
            double down = below >= 0 ? fabs((double)values[below] - middle) : INFINITY; \
            double up = above < n ? fabs((double)values[above] - middle) : INFINITY;  \
            int goes_down = above >= n || (below >= 0 && down < up);                  \
            to[k] = goes_down ? down : up;                                            \
            below -= goes_down;                                                       \
            above += !goes_down;                                                      \
        }                                                                             \
    }                                                                                 \
    EXPORT int64_t cpengine_object_intensity_distances_##T(                           \
        int64_t n_labels, const int64_t *starts, const int64_t *counts,               \
        const C *values, const double *middles, double *distances)                    \
    {                                                                                 \
        for (int64_t label = 0; label < n_labels; label++)                            \
            distances_##T(counts[label], values + starts[label], middles[label],      \
                          distances + starts[label]);                                 \
        return 0;                                                                     \
    }

#define DEFINE_ALL(T, C)                                                              \
    DEFINE_EXTREMES(T, C) DEFINE_MOMENTS(T, C) DEFINE_SORTED(T, C)                    \
    DEFINE_DISTANCES(T, C)

DEFINE_ALL(f32, float)
DEFINE_ALL(f64, double)
