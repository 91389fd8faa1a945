/* Sorting of pixels by value: a radix sort, stable, of keys in the order of the values.
 *
 * Zeros of both signs have the same key, as they are equal for a comparison; callers
 * exclude NaN.
 */
#ifndef CPENGINE_SORTING_H
#define CPENGINE_SORTING_H

#include <string.h>

#include "common.h"

enum { DIGIT_BITS = 11, DIGITS = 1 << DIGIT_BITS };

typedef struct {
    uint32_t key;
    uint32_t index;
} item_f32;

typedef struct {
    uint64_t key;
    uint64_t index;
} item_f64;

static inline uint32_t key_f32(float value)
{
    uint32_t bits;
    if (value == 0.0f) value = 0.0f; /* not minus zero */
    memcpy(&bits, &value, sizeof bits);
    return bits >> 31 ? ~bits : bits | UINT32_C(1) << 31;
}

static inline uint64_t key_f64(double value)
{
    uint64_t bits;
    if (value == 0.0) value = 0.0;
    memcpy(&bits, &value, sizeof bits);
    return bits >> 63 ? ~bits : bits | UINT64_C(1) << 63;
}

/* The value of a key. */
static inline float value_f32(uint32_t key)
{
    uint32_t bits = key >> 31 ? key & ~(UINT32_C(1) << 31) : ~key;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline double value_f64(uint64_t key)
{
    uint64_t bits = key >> 63 ? key & ~(UINT64_C(1) << 63) : ~key;
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Sorts by key; the result is in what is returned, which is either of the two. */
#define DEFINE_SORT(T, BITS)                                                          \
    static item_##T *sort_##T(int64_t n, item_##T *items, item_##T *spare)            \
    {                                                                                 \
        for (int shift = 0; shift < BITS; shift += DIGIT_BITS) {                      \
            int64_t starts[DIGITS] = {0};                                             \
            int64_t start = 0;                                                        \
            for (int64_t k = 0; k < n; k++)                                           \
                starts[items[k].key >> shift & (DIGITS - 1)]++;                       \
            if (n && starts[items[0].key >> shift & (DIGITS - 1)] == n) continue;     \
            for (int digit = 0; digit < DIGITS; digit++) {                            \
                int64_t count = starts[digit];                                        \
                starts[digit] = start;                                                \
                start += count;                                                       \
            }                                                                         \
            for (int64_t k = 0; k < n; k++)                                           \
                spare[starts[items[k].key >> shift & (DIGITS - 1)]++] = items[k];     \
            item_##T *sorted = spare;                                                 \
            spare = items;                                                            \
            items = sorted;                                                           \
        }                                                                             \
        return items;                                                                 \
    }

DEFINE_SORT(f32, 32)
DEFINE_SORT(f64, 64)

#endif
