// What the streams of all libraries have: what happens to the ops they are given, how far they have come, what failed,
// and the memory they hold. Events and bz_stream_synchronize are the same for all of them: events.cc.
#pragma once
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "status.h"

namespace bz {

enum class Mode : uint32_t { run, record, plan };

// A sum of bytes that outlives its stream where what is counted does.
using ByteCount = std::shared_ptr<std::atomic<uint64_t>>;

// Bytes that count while this lives.
class CountedBytes {
 public:
  CountedBytes() = default;
  CountedBytes(const CountedBytes &) = delete;
  CountedBytes &operator=(const CountedBytes &) = delete;
  ~CountedBytes() {
    if (count_ != nullptr) *count_ -= bytes_;
  }

  // Once.
  void count(ByteCount count, uint64_t bytes) {
    count_ = std::move(count);
    bytes_ = bytes;
    *count_ += bytes_;
  }

 private:
  ByteCount count_;
  uint64_t bytes_ = 0;
};

struct StreamBase {
  const uint64_t id; // no two streams of a process have the same
  Mode mode = Mode::run;
  uint64_t given = 0; // ops, copies and launches so far
  std::atomic<uint64_t> device_bytes{0}, staging_bytes{0};
  ByteCount weight_bytes = std::make_shared<std::atomic<uint64_t>>(0);
  uint64_t scratch_bytes = 0;

  StreamBase();
  StreamBase(const StreamBase &) = delete;
  StreamBase &operator=(const StreamBase &) = delete;
  virtual ~StreamBase() = default;

  // Waits until `place` of the things given are passed. Streams that run what they are given at once never wait.
  virtual void pass(uint64_t) {}
  // Whether so many are passed; does a little towards it where nobody else does.
  virtual bool has_passed(uint64_t) { return true; }

  // BZ_EINVAL where the stream is recording or planning.
  bz_status require_running(const char *what) const;
  // Keeps a failure of the last thing given, or of number `place`, with the words of bz_last_error.
  void note_failure(bz_status status) { note_failure(status, given); }
  void note_failure(bz_status status, uint64_t place);
  // The first failure up to `place`; it and all others up to there are forgotten.
  bz_status take_failure(uint64_t place);

 private:
  struct Failure {
    uint64_t place;
    bz_status status;
    std::string words;
  };
  std::vector<Failure> failures_; // in order
};

// Defined by each library.
StreamBase &base_of(bz_stream *stream);

} // namespace bz
