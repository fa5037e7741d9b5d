/* @NAME@: a neural network as one C file, generated. Compile without contraction of floats (-ffp-contract=off). */
#include "@NAME@.h"

#include <math.h>
