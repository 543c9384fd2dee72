// What can be said of an op's args without reading the data they point at: one place for all host libraries, so that
// they refuse alike. Weights, linear and embedding have theirs beside their code.
#pragma once
#include "status.h"

namespace bz {

bz_status check_rms_norm(const bz_rms_norm_args *args);
bz_status check_gated_act(const bz_gated_act_args *args);
bz_status check_rope_kv(const bz_rope_kv_args *args);
bz_status check_kv_cache(const bz_kv_cache_args *args);
bz_status check_attention(const bz_attention_args *args);
bz_status check_gather_rows(const bz_gather_rows_args *args);
bz_status check_add(const bz_add_args *args);
// These two structs have grown: `out` is what the caller gave, in its present size.
bz_status check_logits_process(const bz_logits_process_args *args, bz_logits_process_args *out);
bz_status check_sample(const bz_sample_args *args, bz_sample_args *out);
bz_status check_logprobs(const bz_logprobs_args *args);

} // namespace bz
