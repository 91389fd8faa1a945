/* Labels that spread over an image, the nearest first, as centrosome.propagate has them. */
#include <math.h>

#include "visits.h"

typedef struct {
    const double *pixels; /* null for a black image */
    int64_t rows, columns;
    double weight;
} landscape;

static int64_t clamped(int64_t i, int64_t size)
{
    return i < 0 ? 0 : i < size ? i : size - 1;
}

/* The sum of the differences of two pixels and their neighbours, one after the other;
 * beyond the image is what is at its edge. */
static double difference(const landscape *image, int64_t i1, int64_t j1, int64_t i2,
                         int64_t j2)
{
    double sum = 0;
    for (int64_t down = -1; down <= 1; down++) {
        const double *row1 =
            image->pixels + clamped(i1 + down, image->rows) * image->columns;
        const double *row2 =
            image->pixels + clamped(i2 + down, image->rows) * image->columns;
        for (int64_t right = -1; right <= 1; right++) {
            const double v1 = row1[clamped(j1 + right, image->columns)];
            const double v2 = row2[clamped(j2 + right, image->columns)];
            sum += v1 > v2 ? v1 - v2 : v2 - v1;
        }
    }
    return sum;
}

static double step(const landscape *image, int64_t i1, int64_t j1, int64_t i2, int64_t j2)
{
    const double differs = image->pixels ? difference(image, i1, j1, i2, j2) : 0;
    const double apart = i1 != i2 && j1 != j2 ? 2 : 1;
    return sqrt(differs * differs + apart * image->weight * image->weight);
}

/* Go on to the neighbours of a pixel that has its label; 0 where there is no memory. */
static int spread(const landscape *image, visit from, const uint8_t *mask,
                  const int32_t *labels, double *distances, visits *heap)
{
    const int64_t here = place_of(from);
    const int64_t i = here / image->columns, j = here % image->columns;
    for (int64_t down = -1; down <= 1; down++)
        for (int64_t right = -1; right <= 1; right++) {
            const int64_t row = i + down, column = j + right;
            if (row < 0 || row >= image->rows || column < 0 || column >= image->columns)
                continue;
            const int64_t there = row * image->columns + column;
            if (labels[there] > 0 || !mask[there])
                continue;
            const double far = step(image, i, j, row, column) + distances[here];
            if (distances[there] != -1 && !(distances[there] > far))
                continue;
            distances[there] = far;
            if (!push(heap, visit_at(far, label_of(from), there)))
                return 0;
        }
    return 1;
}

/* seeds: the labels to begin with; labels: zeros; distances: 0 at seeds, else -1.
 * Returns -1 where there is no memory. */
EXPORT int64_t cpengine_propagate(
    const double *pixels, int64_t rows, int64_t columns, double weight,
    const int32_t *seeds, const uint8_t *mask, int32_t *labels, double *distances)
{
    const landscape image = {pixels, rows, columns, weight};
    visits heap = {NULL, 0, 0};
    int is_well = 1;
    for (int64_t place = 0; is_well && place < rows * columns; place++)
        if (seeds[place] && mask[place])
            is_well = append(&heap, visit_at(0, seeds[place], place));
    while (is_well && heap.size > 0) {
        const visit next = pop(&heap);
        if (labels[place_of(next)])
            continue;
        labels[place_of(next)] = label_of(next);
        is_well = spread(&image, next, mask, labels, distances, &heap);
    }
    free(heap.items);
    return is_well ? 0 : -1;
}
