// A stream of the reference library and of the null library: it runs ops on the calling thread, at once or when the
// recorded graph is launched.
#pragma once
#include <functional>

#include "../common/stream_base.h"

struct bz_graph {
  uint64_t stream_id; // of the stream that recorded it
  std::vector<std::function<bz_status()>> ops;
};

struct bz_stream : bz::StreamBase {
  bz_graph *recording = nullptr;
};

namespace bz {

// `op` holds a copy of its args; what they point at is read when it runs.
bz_status submit(bz_stream *stream, std::function<bz_status()> op);

} // namespace bz
