#include <algorithm>
#include <cmath>
#include <vector>

#include "../common/sampling.h"
#include "op.h"

bz_status bz::run(const bz_logprobs_args &a) {
  std::vector<uint32_t> order(a.logits.cols);
  for (uint32_t r = 0; r < a.num_requests; r++) {
    const auto *l = static_cast<const float *>(a.logits.data) + r * a.logits.stride;
    const int32_t id = a.ids[r];
    BZ_REQUIRE(id >= 0 && static_cast<uint32_t>(id) < a.logits.cols, BZ_EINVAL,
               "logprobs: ids[%u] is %d, not in [0, %u)", r, id, a.logits.cols);
    const double max = *std::max_element(l, l + a.logits.cols);
    double sum = 0;
    for (uint32_t i = 0; i < a.logits.cols; i++) sum += std::exp(l[i] - max);
    const double whole = a.mode == BZ_LOGPROBS_LOGITS ? 0 : max + std::log(sum);
    a.out_logprob[r] = static_cast<float>(l[id] - whole);
    a.out_rank[r] = static_cast<int32_t>(std::count_if(l, l + a.logits.cols, [&](float x) { return x >= l[id]; }));
    for (uint32_t i = 0; i < a.logits.cols; i++) order[i] = i;
    std::partial_sort(order.begin(), order.begin() + a.num_top, order.end(),
                      [&](uint32_t x, uint32_t y) { return bz::sort_key(l[x], x) > bz::sort_key(l[y], y); });
    for (uint32_t i = 0; i < a.num_top; i++) {
      a.out_top_ids[uint64_t{r} * a.num_top + i] = static_cast<int32_t>(order[i]);
      a.out_top_logprobs[uint64_t{r} * a.num_top + i] = static_cast<float>(l[order[i]] - whole);
    }
  }
  return BZ_OK;
}
