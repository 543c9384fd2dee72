// A stream that defers everything: what it is given waits in a queue until somebody waits for it.
#pragma once
#include <deque>
#include <functional>
#include <map>
#include <memory>

#include "../common/stream_base.h"

namespace bz {

using CpuGraph = std::shared_ptr<bz_graph>; // of the CPU library, destroyed with the last who may launch it

// What a queued entry may touch, where pages are protected.
enum class Touches { device, both };

struct Entry {
  Touches touches;
  std::function<bz_status()> run;
};

struct Allocation {
  uint32_t kind;
  uint64_t bytes, mapped; // as asked for; with what fills up the last page, without the guard page behind it
};

} // namespace bz

struct bz_graph {
  uint64_t stream_id; // of the stream that recorded it
  bz::CpuGraph cpu;
};

struct bz_stream : bz::StreamBase {
  bz_stream *cpu = nullptr; // records and plans when this one does
  uint64_t passed = 0;      // of what was given
  std::deque<bz::Entry> queue;
  std::map<uint64_t, bz::Allocation> memory; // by address
  bool is_protecting = false;

  ~bz_stream() override;
  void pass(uint64_t place) override;
  bool has_passed(uint64_t place) override;

  void enqueue(bz::Touches touches, std::function<bz_status()> run);
  // Whether the range lies in one allocation of the kind.
  bool owns(uint32_t kind, const void *data, uint64_t bytes) const;
  // What the host and the device may touch from now on; nothing happens unless pages are protected.
  void allow(bool device, bool staging);

 private:
  void step();
};
