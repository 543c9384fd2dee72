#include "team_state.h"
#include "weights_ahead.h"

#include <cstdarg>
#include <cstdio>

namespace bz {

void Team::barrier() {
  if (n == 1) {
    state->next.store(0, std::memory_order_relaxed);
    return;
  }
  const auto reset = [this] { state->next.store(0, std::memory_order_relaxed); };
  state->barrier.wait(n, state->spins, reset, [this] { return ahead != nullptr && ahead->ask(); });
}

uint32_t Team::claim() { return state->next.fetch_add(1, std::memory_order_relaxed); }

std::byte *Team::scratch() { return state->scratch; }

void Team::fail(bz_status status, const char *format, ...) {
  if (state->failing.exchange(true, std::memory_order_acq_rel)) return; // the first one keeps the words
  va_list values;
  va_start(values, format);
  std::vsnprintf(state->words, sizeof state->words, format, values);
  va_end(values);
  state->status = status; // read after the region's end, which orders it
}

} // namespace bz
