#include "weight_memory.h"

#include <mutex>
#include <new>
#include <vector>

#include "../common/host_memory.h"

namespace bz {
namespace {

constexpr uint64_t CHUNK_BYTES = uint64_t{32} << 20; // what weights share; larger ones have a chunk of their own
constexpr uint64_t ALIGN = 64;

struct Chunk {
  std::byte *memory;
  uint64_t bytes, used;
  uint32_t weights; // that live
};

std::mutex lock;
std::vector<Chunk> chunks; // the last one takes new weights

bool add_chunk(uint64_t bytes) {
  auto *memory = static_cast<std::byte *>(host_alloc(bytes));
  if (memory == nullptr) return false;
  try {
    chunks.push_back({memory, bytes, 0, 0});
  } catch (const std::bad_alloc &) {
    host_free(memory);
    return false;
  }
  return true;
}

} // namespace

std::byte *weight_alloc(uint64_t bytes) {
  const std::lock_guard guard(lock);
  const bool fits = !chunks.empty() && bytes <= chunks.back().bytes - chunks.back().used;
  if (!fits && !add_chunk(bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES)) return nullptr;
  Chunk &chunk = chunks.back();
  std::byte *memory = chunk.memory + chunk.used;
  const uint64_t taken = (bytes + ALIGN - 1) / ALIGN * ALIGN;
  chunk.used = taken < chunk.bytes - chunk.used ? chunk.used + taken : chunk.bytes;
  chunk.weights++;
  return memory;
}

void weight_free(std::byte *memory) {
  if (memory == nullptr) return;
  const std::lock_guard guard(lock);
  for (auto chunk = chunks.begin(); chunk != chunks.end(); chunk++) {
    if (memory < chunk->memory || memory >= chunk->memory + chunk->bytes) continue;
    if (--chunk->weights > 0) return;
    host_free(chunk->memory);
    chunks.erase(chunk);
    return;
  }
}

} // namespace bz
