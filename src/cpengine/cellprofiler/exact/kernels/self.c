/* That the library is the one that was built for this interface. */
#include "common.h"

EXPORT int64_t cpengine_kernels(void) { return 1; }
