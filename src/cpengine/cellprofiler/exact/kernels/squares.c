/* Deviations in objects, for several modules.
 *
 * A pixel is named by its place in the image; `labels` has its object. Each object's sum
 * is added up in double precision in the order of the places, as numpy.bincount does.
 */
#include "common.h"

/* The sum of the squared distances from the mean of each object. */
#define DEFINE_SQUARES(T, C)                                                          \
    EXPORT int64_t cpengine_squares_##T(                                              \
        int64_t n, const int32_t *places, const int32_t *labels, const C *pixels,     \
        const double *means, double *sums)                                            \
    {                                                                                 \
        for (int64_t k = 0; k < n; k++) {                                             \
            double distance = (double)pixels[places[k]] - means[labels[k]];           \
            sums[labels[k]] += distance * distance;                                   \
        }                                                                             \
        return 0;                                                                     \
    }

DEFINE_SQUARES(f32, float)
DEFINE_SQUARES(f64, double)
