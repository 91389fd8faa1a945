/* Resampling, reconstruction by dilation, and sums by object.
 *
 * A reconstruction copies pixels, so that its result does not depend on the way: that is
 * Vincent's (1993) hybrid algorithm. Sums are those of scipy.ndimage.mean: pixels of an
 * object, row by row, one after the other.
 */
#include "common.h"

/* Between which two items of an axis each coordinate is, and their weights: `Axis` of
 * granularity.py. */
struct axis {
  const int32_t *low, *high;
  const double *low_weight, *high_weight;
  int64_t size;
};

/* `Reconstruction` of granularity.py. */
struct reconstruction {
  int64_t height, width; /* without the frame */
  int64_t room;          /* of the queue: height * width and 1 */
  int32_t *queue;
  uint8_t *queued;       /* of each pixel of the frame too, whether it is in the queue */
};

/* Pixels of a row that follow one another and have one label. */
struct run {
  int32_t first, end, label;
};

#define FLOAT float
#define ITEM int32_t
#define NAME(name) cpengine_granularity_##name##_float32
#include "granularity.h"
#undef FLOAT
#undef ITEM
#undef NAME

#define FLOAT double
#define ITEM int64_t
#define NAME(name) cpengine_granularity_##name##_float64
#include "granularity.h"

/* Add up a row of pixels by label. */
static void add_row(const struct run *run, const struct run *end, const double *pixels,
                    double *sums) {
  for (; run < end; run++) {
    double sum = sums[run->label];
    for (int32_t x = run->first; x < run->end; x++) sum += pixels[x];
    sums[run->label] = sum;
  }
}

/* Sums of an image's pixels by label; those of row y are in runs[starts[y]] to
 * runs[starts[y + 1]]. */
EXPORT void cpengine_granularity_sums(const double *pixels, int64_t height,
                                      int64_t width, const struct run *runs,
                                      const int64_t *starts, double *sums) {
  for (int64_t y = 0; y < height; y++)
    add_row(runs + starts[y], runs + starts[y + 1], pixels + y * width, sums);
}

/* Of all object sets: runs, where each row's start, and the sums. */
struct objects {
  int64_t count;
  const struct run *const *runs;
  const int64_t *const *starts;
  double *const *sums;
};

/* One row of `resample`, only where there are objects. `low` and `high` are the rows
 * between which it is, multiplied by their weights. */
static void resample_row(const double *low, const double *high,
                         const struct axis *columns, const struct run *run,
                         const struct run *end, double *to) {
  for (; run < end; run++)
    for (int32_t x = run->first; x < run->end; x++) {
      int32_t left = columns->low[x], right = columns->high[x];
      double left_weight = columns->low_weight[x], right_weight = columns->high_weight[x];
      double sum = 0.0;
      sum += low[left] * left_weight;
      sum += low[right] * right_weight;
      sum += high[left] * left_weight;
      sum += high[right] * right_weight;
      to[x] = sum;
    }
}

/* Sums of `resample` by label, of the pixels that the first of `objects` has, and for
 * all others. `buffer` has room for two rows of `from` and one of the result. */
EXPORT void cpengine_granularity_resampled_sums(const double *from, int64_t width,
                                                const struct axis *rows,
                                                const struct axis *columns,
                                                const struct objects *objects,
                                                double *buffer) {
  double *low = buffer, *high = low + width, *to = high + width;
  const struct run *covered = objects->runs[0];
  for (int64_t y = 0; y < rows->size; y++) {
    const int64_t *starts = objects->starts[0] + y;
    if (starts[0] == starts[1]) continue;
    for (int64_t x = 0; x < width; x++) {
      low[x] = from[rows->low[y] * width + x] * rows->low_weight[y];
      high[x] = from[rows->high[y] * width + x] * rows->high_weight[y];
    }
    resample_row(low, high, columns, covered + starts[0], covered + starts[1], to);
    for (int64_t i = 1; i < objects->count; i++) {
      const struct run *runs = objects->runs[i];
      starts = objects->starts[i] + y;
      add_row(runs + starts[0], runs + starts[1], to, objects->sums[i]);
    }
  }
}
