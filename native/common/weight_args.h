// What a weight's and its ops' args must satisfy, in every library that runs on a host.
#pragma once
#include "dequant.h"

namespace bz {

// How the values of one part are held.
enum class Hold : uint32_t { f32, f16, bf16, file, int8, int4 }; // file: codes and scales of the part's block format

// Also checks that the parts' bytes are there, unless `plan_only`.
bz_status check_weight(const bz_weight_args *args, bool plan_only);
Hold hold_of(const bz_weight_part &part, uint32_t compute);
// Matrices in the weight: 1 where it is no stack.
inline uint64_t num_matrices(const bz_weight_args &args) { return args.num_experts > 0 ? args.num_experts : 1; }

// What a weight is to the ops that take it.
struct WeightShape {
  uint32_t n, c, num_experts;
  bool is_planned; // it has no values
};
// `is_planning`: the stream only checks what it is given.
bz_status check_embedding(const bz_embedding_args *args, const WeightShape &w, bool is_planning);
bz_status check_linear(const bz_linear_args *args, const WeightShape &w, bool is_planning);
bz_status check_linear_experts(const bz_linear_experts_args *args, const WeightShape &w, bool is_planning);

} // namespace bz
