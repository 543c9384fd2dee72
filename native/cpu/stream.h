// A stream of the CPU library: threads, scratch memory, the instruction set's kernels, and recording.
//
// An op's entry point checks its args, says how much work it is, and calls submit(), which runs the op at once, or,
// while recording, keeps a copy of args, or, while planning, looks at its scratch memory alone. What args point at is
// read when the op runs: checks of data (ids, slots) belong in the team function.
#pragma once
#include <cstring>
#include <type_traits>
#include <vector>

#include "../common/stream_base.h"
#include "isa.h"
#include "kernels.h"
#include "team_state.h"

namespace bz {

struct OpTraits {
  // About how many simple element operations the op takes: a call with little work runs on the calling thread alone.
  uint64_t work = UINT64_MAX;
  uint64_t scratch_bytes = 0; // what Team::scratch() must hold
  const bz_weight *weight = nullptr; // of a product: threads that wait for it ask for its weights
  uint32_t num_tokens = 0;           // of that product
};

constexpr size_t MAX_ARGS_BYTES = 320;

struct Op {
  void (*call)(void (*fn)(), const void *args, Team &team);
  void (*fn)();
  OpTraits traits;
  alignas(16) std::byte args[MAX_ARGS_BYTES];
};

bz_status submit_op(bz_stream *stream, const Op &op);

// `fn` is void (const Args &, Team &). Args is copied: an args struct, or any plain struct that holds one.
template <class Args> bz_status submit(bz_stream *stream, void (*fn)(const Args &, Team &), const Args &args,
                                       const OpTraits &traits) {
  static_assert(std::is_trivially_copyable_v<Args> && sizeof(Args) <= MAX_ARGS_BYTES);
  Op op;
  op.call = [](void (*f)(), const void *a, Team &team) {
    reinterpret_cast<void (*)(const Args &, Team &)>(f)(*static_cast<const Args *>(a), team);
  };
  op.fn = reinterpret_cast<void (*)()>(fn);
  op.traits = traits;
  std::memcpy(op.args, &args, sizeof args);
  return submit_op(stream, op);
}

} // namespace bz

struct bz_graph {
  uint64_t stream_id; // of the stream that recorded it: scratch memory and threads are that stream's
  std::vector<bz::Op> ops;
};

struct bz_stream : bz::StreamBase {
  uint32_t num_threads = 1;
  bz::Isa isa = bz::Isa::scalar;
  const bz::Kernels *kernels = nullptr;
  bz::TeamState team;
  bz_graph *recording = nullptr; // the graph being recorded, owned until bz_capture_end
  uint64_t planned_scratch_bytes = 0;

  bz_stream() = default;
  ~bz_stream() override;
};
