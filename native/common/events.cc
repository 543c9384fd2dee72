#include <algorithm>
#include <new>

#include "stream_base.h"

namespace bz {

static std::atomic<uint64_t> next_id{1};

StreamBase::StreamBase() : id(next_id++) {}

bz_status StreamBase::require_running(const char *what) const {
  BZ_REQUIRE(mode == Mode::run, BZ_EINVAL, "%s: the stream is %s", what,
             mode == Mode::record ? "recording" : "planning");
  return BZ_OK;
}

void StreamBase::note_failure(bz_status status, uint64_t place) {
  constexpr size_t MOST = 64; // a caller that never asks must not fill the memory
  if (failures_.size() < MOST) failures_.push_back({place, status, last_words()});
}

bz_status StreamBase::take_failure(uint64_t place) {
  const auto end = std::find_if(failures_.begin(), failures_.end(), [=](const Failure &f) { return f.place > place; });
  if (end == failures_.begin()) return BZ_OK;
  const bz_status status = fail(failures_.front().status, "%s", failures_.front().words.c_str());
  failures_.erase(failures_.begin(), end);
  return status;
}

} // namespace bz

// Marks a place: behind so many of the things that its stream was given.
struct bz_event {
  bz_stream *stream;
  uint64_t place;
};

extern "C" {

bz_status bz_event_create(bz_stream *stream, bz_event **out) {
  BZ_REQUIRE(stream != nullptr && out != nullptr, BZ_EINVAL, "event_create: stream or out is NULL");
  *out = new (std::nothrow) bz_event{stream, 0};
  BZ_REQUIRE(*out != nullptr, BZ_ENOMEM, "event_create: no memory");
  return BZ_OK;
}

bz_status bz_event_record(bz_stream *stream, bz_event *event) {
  BZ_REQUIRE(stream != nullptr && event != nullptr, BZ_EINVAL, "event_record: stream or event is NULL");
  BZ_REQUIRE(event->stream == stream, BZ_EINVAL, "event_record: the event is another stream's");
  const bz::StreamBase &base = bz::base_of(stream);
  BZ_TRY(base.require_running("event_record"));
  event->place = base.given;
  return BZ_OK;
}

bz_status bz_event_synchronize(bz_event *event) {
  BZ_REQUIRE(event != nullptr, BZ_EINVAL, "event_synchronize: event is NULL");
  bz::StreamBase &base = bz::base_of(event->stream);
  BZ_TRY(base.require_running("event_synchronize"));
  base.pass(event->place);
  return base.take_failure(event->place);
}

bz_status bz_event_query(bz_event *event, uint32_t *out_done) {
  BZ_REQUIRE(event != nullptr && out_done != nullptr, BZ_EINVAL, "event_query: event or out_done is NULL");
  bz::StreamBase &base = bz::base_of(event->stream);
  BZ_TRY(base.require_running("event_query"));
  *out_done = base.has_passed(event->place) ? 1 : 0;
  return BZ_OK;
}

void bz_event_destroy(bz_event *event) { delete event; }

bz_status bz_stream_synchronize(bz_stream *stream) {
  BZ_REQUIRE(stream != nullptr, BZ_EINVAL, "stream_synchronize: stream is NULL");
  bz::StreamBase &base = bz::base_of(stream);
  BZ_TRY(base.require_running("stream_synchronize"));
  base.pass(base.given);
  return base.take_failure(base.given);
}

} // extern "C"
