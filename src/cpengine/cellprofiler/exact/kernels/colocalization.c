/* Sums over the pixels of objects for MeasureColocalization.
 *
 * A pixel is named by its place in the image; `labels` has its object, from 1. Each sum
 * of an object is added up in double precision in the order of the places, as
 * numpy.bincount does it for scipy.ndimage.sum.
 */
#include <stddef.h>

#include "common.h"
#include "sorting.h"

/* Sum and maximum of each object; `maxima` begins as minus infinity. */
#define DEFINE_SUM(T, C)                                                              \
    EXPORT int64_t cpengine_colocalization_sum_##T(                                   \
        int64_t n, const int32_t *places, const int32_t *labels, const C *pixels,     \
        double *sums, C *maxima)                                                      \
    {                                                                                 \
        for (int64_t k = 0; k < n; k++) {                                             \
            int32_t label = labels[k];                                                \
            C value = pixels[places[k]];                                              \
            sums[label] += (double)value;                                             \
            if (value > maxima[label]) maxima[label] = value;                         \
        }                                                                             \
        return 0;                                                                     \
    }

/* The sum of the pixels that reach their object's threshold; how many they are. */
#define DEFINE_TOTAL(T, C)                                                            \
    EXPORT int64_t cpengine_colocalization_total_##T(                                 \
        int64_t n, const int32_t *places, const int32_t *labels, const C *pixels,     \
        const C *thresholds, double *sums)                                            \
    {                                                                                 \
        int64_t count = 0;                                                            \
        for (int64_t k = 0; k < n; k++) {                                             \
            int32_t label = labels[k];                                                \
            C value = pixels[places[k]];                                              \
            if (value >= thresholds[label]) {                                         \
                sums[label] += (double)value;                                         \
                count++;                                                              \
            }                                                                         \
        }                                                                             \
        return count;                                                                 \
    }

/* The rank of each pixel among the different values, from 0; gives the highest. */
#define DEFINE_RANK(T, C)                                                             \
    EXPORT int64_t cpengine_colocalization_rank_##T(                                  \
        int64_t n, const int32_t *places, const C *pixels, item_##T *items,           \
        item_##T *spare, int32_t *ranks)                                              \
    {                                                                                 \
        int32_t rank = 0;                                                             \
        for (int64_t k = 0; k < n; k++) {                                             \
            items[k].key = key_##T(pixels[places ? places[k] : k]);                   \
            items[k].index = (uint32_t)k;                                             \
        }                                                                             \
        const item_##T *sorted = sort_##T(n, items, spare);                           \
        for (int64_t k = 0; k < n; k++) {                                             \
            rank += k > 0 && sorted[k].key != sorted[k - 1].key;                      \
            ranks[sorted[k].index] = rank;                                            \
        }                                                                             \
        return rank;                                                                  \
    }

/* The correlation of two images in each object: the sum of x * y / scale. */
#define DEFINE_CORRELATION(T1, C1, T2, C2)                                            \
    EXPORT int64_t cpengine_colocalization_correlate_##T1##_##T2(                     \
        int64_t n, const int32_t *places, const int32_t *labels, const C1 *first,     \
        const C2 *second, const double *first_means, const double *second_means,      \
        const double *scales, double *sums)                                           \
    {                                                                                 \
        for (int64_t k = 0; k < n; k++) {                                             \
            int32_t label = labels[k];                                                \
            double x = (double)first[places[k]] - first_means[label];                 \
            double y = (double)second[places[k]] - second_means[label];               \
            sums[label] += x * y / scales[label];                                     \
        }                                                                             \
        return 0;                                                                     \
    }

/* Sums where both images reach their thresholds; how many pixels they are. Squares and
 * products are rounded to the type of the pixels (P for both), as numpy has them
 * before it adds them up. `first_ranks` is NULL where no weights are wanted. */
typedef struct {
    double *first, *second, *first_squares, *second_squares, *products;
    double *first_weighted, *second_weighted;
} overlap_sums;

#define DEFINE_OVERLAP(T1, C1, T2, C2, P)                                             \
    EXPORT int64_t cpengine_colocalization_overlap_##T1##_##T2(                       \
        int64_t n, const int32_t *places, const int32_t *labels, const C1 *first,     \
        const C2 *second, const C1 *first_thresholds, const C2 *second_thresholds,    \
        const int32_t *first_ranks, const int32_t *second_ranks, int64_t ranks,       \
        double *sums, int64_t width)                                                  \
    {                                                                                 \
        const overlap_sums to = {sums, sums + width, sums + 2 * width,                \
                                 sums + 3 * width, sums + 4 * width,                  \
                                 sums + 5 * width, sums + 6 * width};                 \
        int64_t count = 0;                                                            \
        for (int64_t k = 0; k < n; k++) {                                             \
            int32_t label = labels[k];                                                \
            C1 a = first[places[k]];                                                  \
            C2 b = second[places[k]];                                                 \
            if (!(a >= first_thresholds[label] && b >= second_thresholds[label]))     \
                continue;                                                             \
            C1 a_square = a * a;                                                      \
            C2 b_square = b * b;                                                      \
            P product = (P)a * (P)b;                                                  \
            count++;                                                                  \
            to.first[label] += (double)a;                                             \
            to.second[label] += (double)b;                                            \
            to.first_squares[label] += (double)a_square;                              \
            to.second_squares[label] += (double)b_square;                             \
            to.products[label] += (double)product;                                    \
            if (first_ranks != NULL) {                                                \
                int64_t apart = (int64_t)first_ranks[k] - (int64_t)second_ranks[k];   \
                if (apart < 0) apart = -apart;                                        \
                double weight = (double)(ranks - apart) / (double)ranks;              \
                to.first_weighted[label] += (double)a * weight;                       \
                to.second_weighted[label] += (double)b * weight;                      \
            }                                                                         \
        }                                                                             \
        return count;                                                                 \
    }

/* Sums for two thresholds of whole images: of each image where both are above them,
 * and of each image where it reaches its own. `counts` has how many pixels are above
 * the first, the second, and both. */
#define DEFINE_COSTES(T1, C1, T2, C2)                                                 \
    EXPORT int64_t cpengine_colocalization_costes_##T1##_##T2(                        \
        int64_t n, const int32_t *places, const int32_t *labels, const C1 *first,     \
        const C2 *second, double first_threshold, double second_threshold,            \
        double *sums, int64_t width, int64_t *counts)                                 \
    {                                                                                 \
        for (int64_t k = 0; k < n; k++) {                                             \
            double *to = sums + labels[k];                                            \
            double a = (double)first[places[k]], b = (double)second[places[k]];       \
            counts[0] += a > first_threshold;                                         \
            counts[1] += b > second_threshold;                                        \
            if (a > first_threshold && b > second_threshold) {                        \
                counts[2]++;                                                          \
                to[0] += a;                                                           \
                to[width] += b;                                                       \
            }                                                                         \
            if (a >= first_threshold) to[2 * width] += a;                             \
            if (b >= second_threshold) to[3 * width] += b;                            \
        }                                                                             \
        return 0;                                                                     \
    }

/* Sums of x, y, their squares and their product, less constants, over the pixels that
 * are below one of two thresholds; how many they are. */
#define DEFINE_BELOW(T1, C1, T2, C2)                                                  \
    EXPORT int64_t cpengine_colocalization_below_##T1##_##T2(                         \
        int64_t n, const C1 *first, const C2 *second, double first_threshold,         \
        double second_threshold, double first_middle, double second_middle,           \
        double *sums)                                                                 \
    {                                                                                 \
        double x_sum = 0, y_sum = 0, xx = 0, yy = 0, xy = 0;                          \
        int64_t count = 0;                                                            \
        for (int64_t k = 0; k < n; k++) {                                             \
            double a = (double)first[k], b = (double)second[k];                       \
            if (!(a < first_threshold || b < second_threshold)) continue;             \
            double x = a - first_middle, y = b - second_middle;                       \
            count++;                                                                  \
            x_sum += x;                                                               \
            y_sum += y;                                                               \
            xx += x * x;                                                              \
            yy += y * y;                                                              \
            xy += x * y;                                                              \
        }                                                                             \
        sums[0] = x_sum;                                                              \
        sums[1] = y_sum;                                                              \
        sums[2] = xx;                                                                 \
        sums[3] = yy;                                                                 \
        sums[4] = xy;                                                                 \
        return count;                                                                 \
    }

#define DEFINE_IMAGE(T, C)                                                            \
    DEFINE_SUM(T, C) DEFINE_TOTAL(T, C) DEFINE_RANK(T, C)

#define DEFINE_PAIR(T1, C1, T2, C2, P)                                                \
    DEFINE_CORRELATION(T1, C1, T2, C2)                                                \
    DEFINE_OVERLAP(T1, C1, T2, C2, P)                                                 \
    DEFINE_COSTES(T1, C1, T2, C2)                                                     \
    DEFINE_BELOW(T1, C1, T2, C2)

DEFINE_IMAGE(f32, float)
DEFINE_IMAGE(f64, double)
DEFINE_PAIR(f32, float, f32, float, float)
DEFINE_PAIR(f32, float, f64, double, double)
DEFINE_PAIR(f64, double, f32, float, double)
DEFINE_PAIR(f64, double, f64, double, double)
