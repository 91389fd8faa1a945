/* For one type of pixels, FLOAT; granularity.c includes this for each.
 *
 * Pixels of a reconstruction are never negative, so that their bits, taken as whole
 * numbers (ITEM), have the same order; smallest and largest of those are faster.
 */

/* scipy's map_coordinates of order 1 and mode "constant", at the crossings of rows and
 * columns: the same products, added up in the same order from 0.0. */
EXPORT void NAME(resample)(const FLOAT *from, int64_t width, const struct axis *rows,
                           const struct axis *columns, FLOAT *to) {
  for (int64_t y = 0; y < rows->size; y++, to += columns->size) {
    const FLOAT *low = from + rows->low[y] * width, *high = from + rows->high[y] * width;
    double low_weight = rows->low_weight[y], high_weight = rows->high_weight[y];
    for (int64_t x = 0; x < columns->size; x++) {
      int32_t left = columns->low[x], right = columns->high[x];
      double left_weight = columns->low_weight[x], right_weight = columns->high_weight[x];
      double sum = 0.0;
      sum += (double)low[left] * low_weight * left_weight;
      sum += (double)low[right] * low_weight * right_weight;
      sum += (double)high[left] * high_weight * left_weight;
      sum += (double)high[right] * high_weight * right_weight;
      to[x] = (FLOAT)sum;
    }
  }
}

static inline ITEM NAME(smaller)(ITEM a, ITEM b) { return a < b ? a : b; }
static inline ITEM NAME(larger)(ITEM a, ITEM b) { return a > b ? a : b; }

/* The smallest of each pixel of a row and its four neighbours. */
static void NAME(erode_row)(const ITEM *from, int64_t stride, int64_t width, ITEM *to) {
  for (int64_t x = 0; x < width; x++) {
    ITEM sides = NAME(smaller)(from[x - 1], from[x + 1]);
    ITEM ends = NAME(smaller)(from[x - stride], from[x + stride]);
    to[x] = NAME(smaller)(from[x], NAME(smaller)(sides, ends));
  }
}

/* Let the pixels above and on the left raise those of a row, up to their limits;
 * `from` is what they are at first. */
static void NAME(raise_row)(const ITEM *from, const ITEM *limit, int64_t stride,
                            int64_t width, ITEM *row) {
  ITEM left = 0;
  for (int64_t x = 0; x < width; x++) {
    ITEM value = NAME(larger)(from[x], row[x - stride]);
    left = NAME(smaller)(limit[x], NAME(larger)(value, left));
    row[x] = left;
  }
}

/* The same from below and from the right. */
static void NAME(raise_row_back)(const ITEM *limit, int64_t stride, int64_t width,
                                 ITEM *row) {
  ITEM right = 0;
  for (int64_t x = width - 1; x >= 0; x--) {
    ITEM value = NAME(larger)(row[x], row[x + stride]);
    right = NAME(smaller)(limit[x], NAME(larger)(value, right));
    row[x] = right;
  }
}

/* Queue the pixels of a row that can raise those below or on the right; gives the
 * queue's end. */
static int64_t NAME(queue_row)(const struct reconstruction *r, const ITEM *limit,
                               const ITEM *result, int64_t row, int64_t tail) {
  int64_t stride = r->width + 2;
  int32_t *queue = r->queue;
  for (int64_t k = row; k < row + r->width; k++) {
    ITEM value = result[k], right = result[k + 1], below = result[k + stride];
    int raises = (right < value) & (right < limit[k + 1]);
    raises |= (below < value) & (below < limit[k + stride]);
    queue[tail] = (int32_t)k;
    tail += raises;
  }
  return tail;
}

/* Let a pixel raise a neighbour, which is queued then unless it is; gives the queue's
 * end. */
static inline int64_t NAME(raise)(const struct reconstruction *r, const ITEM *limit,
                                  ITEM *result, ITEM value, int64_t k, int64_t tail) {
  if (result[k] >= value || result[k] >= limit[k]) return tail;
  result[k] = NAME(smaller)(value, limit[k]);
  if (r->queued[k]) return tail;
  r->queued[k] = 1;
  r->queue[tail++] = (int32_t)k;
  return tail == r->room ? 0 : tail;
}

/* Let the pixels of the queue raise their neighbours, until there is none. A pixel is
 * in the queue once at most, so that there is room for all. */
static void NAME(spread)(const struct reconstruction *r, const ITEM *limit, ITEM *result,
                         int64_t tail) {
  int64_t stride = r->width + 2;
  for (int64_t i = 0; i < tail; i++) r->queued[r->queue[i]] = 1;
  for (int64_t head = 0; head != tail;) {
    int64_t k = r->queue[head++];
    if (head == r->room) head = 0;
    r->queued[k] = 0;
    tail = NAME(raise)(r, limit, result, result[k], k - stride, tail);
    tail = NAME(raise)(r, limit, result, result[k], k - 1, tail);
    tail = NAME(raise)(r, limit, result, result[k], k + 1, tail);
    tail = NAME(raise)(r, limit, result, result[k], k + stride, tail);
  }
}

/* Erode a padded image by a pixel and reconstruct it by dilation below a limit. All
 * have a frame of one pixel: infinity around what is eroded, 0 around the others.
 * Down and up once more than the algorithm asks for saves most of the queue. */
EXPORT void NAME(step)(const struct reconstruction *r, const ITEM *from, ITEM *eroded,
                       const ITEM *limit, ITEM *result) {
  int64_t width = r->width, stride = width + 2, tail = 0;
  int64_t first = stride + 1, last = r->height * stride + 1;
  for (int64_t row = first; row <= last; row += stride) {
    NAME(erode_row)(from + row, stride, width, eroded + row);
    NAME(raise_row)(eroded + row, limit + row, stride, width, result + row);
  }
  for (int64_t row = last; row >= first; row -= stride)
    NAME(raise_row_back)(limit + row, stride, width, result + row);
  for (int64_t row = first; row <= last; row += stride)
    NAME(raise_row)(result + row, limit + row, stride, width, result + row);
  for (int64_t row = last; row >= first; row -= stride) {
    NAME(raise_row_back)(limit + row, stride, width, result + row);
    tail = NAME(queue_row)(r, limit, result, row, tail);
  }
  NAME(spread)(r, limit, result, tail);
}
