/* Haralick's features as mahotas 1.4.18 computes them with numpy 1.24.
 *
 * All sums are those of the original: over the same numbers, in the same order, or by
 * the same function. Where the original adds up dense matrices of mostly zeros, zeros
 * are left out of a plain sum (x + 0.0 is x, and nothing is negative), but not of what
 * numpy gives to BLAS: how that groups numbers depends on their places.
 */
#include <math.h>
#include <string.h>

#include "common.h"

typedef double (*dot_function)(int64_t, const double *, int64_t, const double *, int64_t);

/* A contiguous image of grey levels. */
struct grey_image {
  const uint8_t *pixels;
  int64_t height, width;
  int64_t ignore_zeros;
};

/* Buffers for one direction; `HaralickDirection` of texture.py describes the same. All are
 * aligned to 16 bytes, as numpy's own are: BLAS may group numbers by alignment. */
struct direction {
  dot_function dot;     /* numpy's own cblas_ddot */
  double *p;            /* levels x levels: the frequency of each pair of levels */
  double *px, *py;      /* levels: sums of p by column, by row */
  double *plus;         /* 2 * levels: sums of p by i + j */
  double *minus;        /* levels: sums of p by |i - j| */
  double *arguments;    /* of which the caller takes log2 between the two functions: */
  double *logarithms;   /* at most 2 * levels * levels + 5 * levels + 6 */
  int32_t *places;      /* where p is not 0 */
  int32_t *present;     /* the levels whose px is not 0 */
  int64_t filled;       /* the number of places */
  int64_t present_count;
  int64_t levels;       /* the largest level and 1; from 1 to 256 */
  /* Four directions share the rest. */
  double *numbers;      /* 0, 1, ... 2 * levels - 1 */
  double *squares;      /* their squares */
  double *products;     /* levels x levels: i * j */
  double *inverse;      /* levels x levels: 1 / ((i - j)^2 + 1) */
  double *cross;        /* levels x levels: outer product of px and py, 1 for 0 */
  double *cross_logs;   /* levels x levels */
  double *sparse_logs;  /* levels x levels: zeros between calls */
  int32_t *counts;      /* levels x levels: zeros between calls */
};

/* numpy's sum of contiguous doubles (pairwise summation). */
static double pairwise(const double *x, int64_t n) {
  double lanes[8], sum = 0.0;
  int64_t i;
  if (n < 8) {
    for (i = 0; i < n; i++) sum += x[i];
    return sum;
  }
  if (n > 128) {
    int64_t half = n / 2;
    half -= half % 8;
    return pairwise(x, half) + pairwise(x + half, n - half);
  }
  memcpy(lanes, x, sizeof lanes);
  for (i = 8; i < n - n % 8; i += 8)
    for (int lane = 0; lane < 8; lane++) lanes[lane] += x[i + lane];
  sum = ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) +
        ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
  for (; i < n; i++) sum += x[i];
  return sum;
}

/* The largest level of each label's pixels; `largest` begins with zeros. */
EXPORT void cpengine_texture_maxima(const uint8_t *image, const int32_t *labels,
                                    int64_t size, uint8_t *largest) {
  for (int64_t i = 0; i < size; i++)
    if (image[i] > largest[labels[i]]) largest[labels[i]] = image[i];
}

/* What depends on the number of levels only. */
EXPORT void cpengine_texture_tables(struct direction *d) {
  int64_t n = d->levels;
  for (int64_t i = 0; i < 2 * n; i++) {
    d->numbers[i] = (double)i;
    d->squares[i] = (double)(i * i);
  }
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++) d->products[i * n + j] = (double)(i * j);
  for (int64_t j = 0; j < n; j++) d->inverse[j] = 1.0 / (double)(j * j + 1);
  for (int64_t i = 1; i < n; i++) { /* the row before, moved by a column */
    d->inverse[i * n] = d->inverse[i];
    memcpy(d->inverse + i * n + 1, d->inverse + (i - 1) * n, (n - 1) * sizeof(double));
  }
}

/* Count the pairs of pixels that are dy, dx apart, in both orders; give their number.
 * Each bit of `met` says whether a pair of levels was met. */
static int64_t count_pairs(struct direction *d, const struct grey_image *grey,
                           int64_t dy, int64_t dx, uint64_t met[][4]) {
  int64_t n = d->levels, width = grey->width, total = 0;
  int64_t first = dx < 0 ? -dx : 0, last = dx > 0 ? width - dx : width;
  for (int64_t y = 0; y + dy < grey->height; y++) {
    const uint8_t *from = grey->pixels + y * width, *to = from + dy * width + dx;
    for (int64_t x = first; x < last; x++) {
      int64_t a = from[x], b = to[x];
      if (grey->ignore_zeros && (a == 0 || b == 0)) continue;
      d->counts[a * n + b]++;
      d->counts[b * n + a]++;
      met[a][b / 64] |= (uint64_t)1 << b % 64;
      met[b][a / 64] |= (uint64_t)1 << a % 64;
      total += 2;
    }
  }
  return total;
}

/* Add the frequency of a pair to all sums that it is part of. */
static void add_frequency(struct direction *d, int64_t i, int64_t j, int64_t total) {
  int64_t place = i * d->levels + j;
  double frequency = (double)d->counts[place] / (double)total;
  d->counts[place] = 0;
  d->p[place] = frequency;
  d->px[j] += frequency;
  d->plus[i + j] += frequency;
  d->minus[i > j ? i - j : j - i] += frequency;
  d->places[d->filled] = (int32_t)place;
  d->arguments[d->filled++] = frequency;
}

/* p and its sums, row by row; also its non-zero items as the first arguments. */
static void sum_frequencies(struct direction *d, int64_t total, uint64_t met[][4]) {
  int64_t n = d->levels;
  for (int64_t k = 0; k < d->filled; k++) d->p[d->places[k]] = 0.0;
  d->filled = 0;
  memset(d->px, 0, n * sizeof(double));
  memset(d->plus, 0, 2 * n * sizeof(double));
  memset(d->minus, 0, n * sizeof(double));
  for (int64_t i = 0; i < n; i++) {
    int64_t before = d->filled;
    for (int word = 0; word < 4; word++)
      for (uint64_t bits = met[i][word]; bits; bits &= bits - 1)
        add_frequency(d, i, 64 * word + __builtin_ctzll(bits), total);
    d->py[i] = d->filled > before ? pairwise(d->p + i * n, n) : 0.0;
  }
}

/* Add arguments of log2, 1 for 0; the place after them is again one of 16 bytes. */
static double *add_arguments(double *to, const double *values, int64_t n) {
  for (int64_t i = 0; i < n; i++) to[i] = values[i] == 0.0 ? 1.0 : values[i];
  if (n % 2) to[n] = 1.0;
  return to + n + n % 2;
}

/* All that log2 is needed of; gives the place after it. */
static double *add_all_arguments(struct direction *d) {
  int64_t n = d->levels, present = 0;
  double *to = add_arguments(d->arguments, d->arguments, d->filled);
  to = add_arguments(to, d->px, n);
  to = add_arguments(to, d->py, n);
  to = add_arguments(to, d->plus, 2 * n);
  to = add_arguments(to, d->minus, n);
  for (int64_t i = 0; i < n; i++)
    if (d->px[i] != 0.0) d->present[present++] = (int32_t)i;
  for (int64_t a = 0; a < present; a++) {
    double x = d->px[d->present[a]];
    for (int64_t b = 0; b < present; b++) to[b] = x * d->py[d->present[b]];
    to += present;
  }
  d->present_count = present;
  if (present % 2) *to++ = 1.0;
  return to;
}

/* Frequencies in four directions, and all that log2 is needed of. Gives the number of
 * arguments; 0 where a direction has no pairs. */
EXPORT int64_t cpengine_texture_count(struct direction *directions,
                                      const struct grey_image *grey, int64_t scale) {
  static const int rows[] = {0, 1, 1, 1}, columns[] = {1, 1, 0, -1};
  double *start = directions[0].arguments, *to = start;
  double *logarithms = directions[0].logarithms;
  for (int k = 0; k < 4; k++) {
    struct direction *d = &directions[k];
    uint64_t met[256][4] = {{0}};
    int64_t total = count_pairs(d, grey, rows[k] * scale, columns[k] * scale, met);
    if (total == 0) return 0;
    d->arguments = to;
    d->logarithms = logarithms + (to - start);
    sum_frequencies(d, total, met);
    to = add_all_arguments(d);
  }
  return to - start;
}

/* The sum of products as numpy.dot begins it: 0.0 is never -0.0. */
static double dot(const struct direction *d, int64_t n, const double *x,
                  const double *y) {
  return 0.0 + d->dot(n, x, 1, y, 1);
}

/* numpy calls pow for a scalar's square; a compiler would make it a product, which is
 * not always the same. */
static double square(double x) {
  static double (*const volatile power)(double, double) = pow;
  return power(x, 2.0);
}

/* numpy.var */
static double variance(const double *x, int64_t n) {
  double mean = pairwise(x, n) / (double)n, squares[256];
  for (int64_t i = 0; i < n; i++) squares[i] = (x[i] - mean) * (x[i] - mean);
  return pairwise(squares, n) / (double)n;
}

/* Entropy of p, whose logarithms are those of its non-zero items. */
static double joint_entropy(struct direction *d) {
  for (int64_t k = 0; k < d->filled; k++) d->sparse_logs[d->places[k]] = d->logarithms[k];
  double sum = dot(d, d->levels * d->levels, d->sparse_logs, d->p);
  for (int64_t k = 0; k < d->filled; k++) d->sparse_logs[d->places[k]] = 0.0;
  return -sum;
}

/* Levels that are present and follow one another. */
struct levels {
  int64_t first, count;
};

/* Those of a direction, as few as can be; gives their number. */
static int64_t find_levels(const struct direction *d, struct levels *runs) {
  int64_t found = 0;
  for (int64_t k = 0; k < d->present_count; k++) {
    if (k == 0 || d->present[k] != d->present[k - 1] + 1)
      runs[found++] = (struct levels){d->present[k], 0};
    runs[found - 1].count++;
  }
  return found;
}

/* Put numbers of the levels that are present at their places in all rows and columns;
 * elsewhere is `other`. */
static void spread(const struct direction *d, const double *from, double other,
                   double *to) {
  int64_t n = d->levels, m = d->present_count;
  struct levels runs[256];
  int64_t run_count = find_levels(d, runs);
  double blank[256];
  for (int64_t j = 0; j < n; j++) blank[j] = other;
  for (int64_t i = 0, a = 0; i < n; i++, to += n) {
    memcpy(to, blank, n * sizeof(double));
    if (a == m || d->present[a] != i) continue;
    for (int64_t k = 0; k < run_count; k++) {
      memcpy(to + runs[k].first, from, runs[k].count * sizeof(double));
      from += runs[k].count;
    }
    a++;
  }
}

/* Features 8, 11 and 12; of the last what the original takes the exponential of. */
static void add_information(struct direction *d, int64_t start, double hx, double hy,
                            double *features) {
  int64_t size = d->levels * d->levels;
  const double *cross = d->arguments + start, *logs = d->logarithms + start;
  double largest = hy > hx ? hy : hx;
  features[8] = joint_entropy(d);
  if (d->present_count < d->levels) {
    spread(d, cross, 1.0, d->cross);
    spread(d, logs, 0.0, d->cross_logs);
    cross = d->cross;
    logs = d->cross_logs;
  }
  double hxy1 = -dot(d, size, d->p, logs), hxy2 = -dot(d, size, logs, cross);
  features[11] = features[8] - hxy1;
  if (largest != 0.0) features[11] = features[11] / largest;
  features[12] = -2.0 * (hxy2 - features[8]);
}

/* The 13 features of a direction. */
static void compute(struct direction *d, double *features) {
  int64_t n = d->levels, even = n + n % 2, size = n * n;
  int64_t logs_px = d->filled + d->filled % 2, logs_py = logs_px + even;
  int64_t logs_plus = logs_py + even, logs_minus = logs_plus + 2 * n;
  const double *logs = d->logarithms;

  double ux = dot(d, n, d->px, d->numbers), uy = dot(d, n, d->py, d->numbers);
  double vx = dot(d, n, d->px, d->squares) - square(ux);
  double vy = dot(d, n, d->py, d->squares) - square(uy);
  double sx = sqrt(vx), sy = sqrt(vy);
  features[0] = dot(d, size, d->p, d->p);
  features[1] = dot(d, n, d->squares, d->minus);
  features[2] = 1.0;
  if (!(sx == 0.0 || sy == 0.0))
    features[2] = 1.0 / sx / sy * (dot(d, size, d->products, d->p) - ux * uy);
  features[3] = vx;
  features[4] = dot(d, size, d->inverse, d->p);
  features[5] = dot(d, 2 * n, d->numbers, d->plus);
  features[6] = dot(d, 2 * n, d->squares, d->plus) - square(features[5]);
  features[7] = -dot(d, 2 * n, logs + logs_plus, d->plus);
  features[9] = variance(d->minus, n);
  features[10] = -dot(d, n, logs + logs_minus, d->minus);
  double hx = -dot(d, n, logs + logs_px, d->px);
  double hy = -dot(d, n, logs + logs_py, d->py);
  add_information(d, logs_minus + even, hx, hy, features);
}

/* Four times 13 features, once `logarithms` holds log2 of all arguments. */
EXPORT void cpengine_texture_features(struct direction *directions, double *features) {
  for (int k = 0; k < 4; k++) compute(&directions[k], features + 13 * k);
}
