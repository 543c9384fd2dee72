// A weight of the reference library: float32 [n, c], whatever it came from.
#pragma once
#include <vector>

#include "../include/baozi.h"

struct bz_weight {
  uint32_t n, c;
  std::vector<float> values;
};
