/* Pixels to be visited, the nearest first, as centrosome's heap orders them.
 *
 * That compares a distance's upper 31 and next 31 bits as whole numbers (of a double that
 * is not negative, that is all but the last bit), then label, row and column. The order
 * is total. But centrosome begins with all seeds in raster order, whatever their labels,
 * which need not be a heap: so that the pixels come in the same order, they are appended
 * here too, and the heap moves items as centrosome's does: an item that goes down changes
 * places with the lesser of two, if that is less than the item.
 */
#ifndef CPENGINE_VISITS_H
#define CPENGINE_VISITS_H

#include <stdlib.h>
#include <string.h>

#include "common.h"

typedef struct {
    uint64_t distance, label_and_place;
} visit;

typedef struct {
    visit *items;
    int64_t size, room;
} visits;

static inline visit visit_at(double distance, int32_t label, int64_t place)
{
    visit one = {0, (uint64_t)label << 32 | (uint64_t)place};
    memcpy(&one.distance, &distance, sizeof distance);
    one.distance >>= 1;
    return one;
}

static inline int32_t label_of(visit one) { return (int32_t)(one.label_and_place >> 32); }

static inline int64_t place_of(visit one) { return one.label_and_place & 0xffffffff; }

static inline int is_before(const visit *a, const visit *b)
{
    return a->distance != b->distance ? a->distance < b->distance
                                      : a->label_and_place < b->label_and_place;
}

/* Put one at the end; 0 where there is no memory for it. */
static inline int append(visits *heap, visit one)
{
    if (heap->size == heap->room) {
        const int64_t room = heap->room ? heap->room * 2 : 4096;
        visit *items = realloc(heap->items, room * sizeof(visit));
        if (!items)
            return 0;
        heap->items = items;
        heap->room = room;
    }
    heap->items[heap->size++] = one;
    return 1;
}

static inline int push(visits *heap, visit one)
{
    if (!append(heap, one))
        return 0;
    int64_t child = heap->size - 1;
    while (child > 0 && is_before(&one, &heap->items[(child - 1) / 2])) {
        heap->items[child] = heap->items[(child - 1) / 2];
        child = (child - 1) / 2;
    }
    heap->items[child] = one;
    return 1;
}

static inline visit pop(visits *heap)
{
    visit *items = heap->items;
    const visit first = items[0], last = items[--heap->size];
    int64_t parent = 0, child;
    while ((child = 2 * parent + 1) < heap->size) {
        if (child + 1 < heap->size && is_before(&items[child + 1], &items[child]))
            child++;
        if (!is_before(&items[child], &last))
            break;
        items[parent] = items[child];
        parent = child;
    }
    items[parent] = last;
    return first;
}

#endif
