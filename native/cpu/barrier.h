// A barrier for threads that meet every few microseconds. A waiting thread spins, for long enough when each has a
// processor of its own; then it also yields its processor to any thread that waits for one, which may be the thread it
// waits for; then it sleeps in the kernel. So it is quick, and does not collapse where there are fewer processors than
// threads.
#pragma once
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <cstdint>

namespace bz {

static inline void spin_pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb" ::: "memory");
#endif
}

class Barrier {
 public:
  // The last of n threads to arrive runs `last` before the others go on. Those call `meanwhile` over and over:
  // something short to do while there is time, false once there is nothing left.
  template <class Last, class Meanwhile> void wait(uint32_t n, uint32_t spins, Last last, Meanwhile meanwhile) {
    const uint32_t phase = phase_.load(std::memory_order_relaxed);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == n) {
      arrived_.store(0, std::memory_order_relaxed);
      last();
      // Sequentially consistent, as is the sleepers' count: either we see a sleeper or it sees the new phase.
      phase_.store(phase + 1, std::memory_order_seq_cst);
      if (sleepers_.load(std::memory_order_seq_cst) != 0) futex(FUTEX_WAKE_PRIVATE, INT_MAX);
      return;
    }
    for (uint32_t i = 0; i < spins; i++) {
      if (phase_.load(std::memory_order_acquire) != phase) return;
      if (meanwhile()) continue;
      spin_pause();
      if (i >= PAUSES_ALONE && i % PAUSES_A_YIELD == 0) sched_yield();
    }
    sleepers_.fetch_add(1, std::memory_order_seq_cst);
    while (phase_.load(std::memory_order_seq_cst) == phase) futex(FUTEX_WAIT_PRIVATE, phase);
    sleepers_.fetch_sub(1, std::memory_order_relaxed);
  }

 private:
  static constexpr uint32_t PAUSES_ALONE = 64, PAUSES_A_YIELD = 32;

  void futex(int op, uint32_t value) {
    syscall(SYS_futex, reinterpret_cast<uint32_t *>(&phase_), op, value, nullptr, nullptr, 0);
  }

  alignas(64) std::atomic<uint32_t> arrived_{0};
  alignas(64) std::atomic<uint32_t> phase_{0};
  std::atomic<uint32_t> sleepers_{0};
};

} // namespace bz
