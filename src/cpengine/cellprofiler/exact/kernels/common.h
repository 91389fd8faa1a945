/* What all kernels share.
 *
 * They are compiled with -O2 -ffp-contract=off and nothing that lets a compiler reorder
 * or fuse floating-point operations: each sum is added up in the order that is written.
 */
#ifndef CPENGINE_COMMON_H
#define CPENGINE_COMMON_H

#include <stdint.h>

#define EXPORT __attribute__((visibility("default")))

#endif
