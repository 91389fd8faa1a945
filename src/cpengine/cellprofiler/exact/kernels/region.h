/* A region of a label image: the pixels of one label.
 *
 * It is five numbers: its label, first row, first column, row and column after the last.
 * Pixels of other labels in its box are outside of it, as is all that is not in its box.
 */
#ifndef CPENGINE_REGION_H
#define CPENGINE_REGION_H

#include "common.h"

typedef struct {
    const int32_t *labels;
    int64_t columns, rows, width;
    int32_t label;
} region;

static inline region region_of(const int32_t *labels, int64_t columns,
                               const int64_t *five)
{
    region r = {labels + five[1] * columns + five[2], columns, five[3] - five[1],
                five[4] - five[2], (int32_t)five[0]};
    return r;
}

static inline int is_in(const region *r, int64_t row, int64_t column)
{
    return row >= 0 && column >= 0 && row < r->rows && column < r->width &&
           r->labels[row * r->columns + column] == r->label;
}

#endif
