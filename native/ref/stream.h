// A stream of the reference library: it runs ops on the calling thread, at once or when the recorded graph is launched.
#pragma once
#include <functional>
#include <vector>

#include "../common/status.h"

struct bz_graph {
  std::vector<std::function<bz_status()>> ops;
};

struct bz_stream {
  bz_graph *recording = nullptr;
  bz_status first_error = BZ_OK; // since the last bz_stream_synchronize
};

namespace bz {

// `op` holds a copy of its args; what they point at is read when it runs.
bz_status submit(bz_stream *stream, std::function<bz_status()> op);

} // namespace bz
