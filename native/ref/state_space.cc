// bz_causal_conv, bz_selective_scan, bz_gated_rms_norm.
#include <algorithm>
#include <cmath>

#include "matrix.h"
#include "op.h"

static double silu(double x) { return x / (1 + std::exp(-x)); }

static double softplus(double x) { return x > 20 ? x : std::log1p(std::exp(x)); }

template <class Args> static bz_status check_requests(const char *op, const Args &a) {
  BZ_REQUIRE(a.query_start[0] == 0, BZ_EINVAL, "%s: query_start begins with %d", op, a.query_start[0]);
  for (uint32_t r = 0; r < a.num_requests; r++) {
    const int32_t begin = a.query_start[r], end = a.query_start[r + 1];
    BZ_REQUIRE(begin <= end && static_cast<uint32_t>(end) <= a.num_tokens, BZ_EINVAL,
               "%s: request %u has rows [%d, %d), num_tokens is %u", op, r, begin, end, a.num_tokens);
    if (begin == end) continue;
    const int64_t read = a.read_slots[r], write = a.write_slots[r];
    BZ_REQUIRE(read >= -1 && read < a.num_slots && write >= 0 && write < a.num_slots, BZ_EINVAL,
               "%s: request %u reads slot %d and writes slot %d, there are %u", op, r, a.read_slots[r],
               a.write_slots[r], a.num_slots);
  }
  return BZ_OK;
}

template <class Args> static void clear_padding(const Args &a) {
  for (uint64_t row = static_cast<uint64_t>(a.query_start[a.num_requests]); row < a.num_tokens; row++)
    bz::clear_row(a.y, row);
}

// What a request starts from: `count` values of the slot that it reads, or zeros.
template <class Args> static std::vector<float> first_state(const Args &a, uint32_t request, uint64_t count) {
  const int32_t slot = a.read_slots[request];
  if (slot < 0) return std::vector<float>(count);
  const float *at = a.state + static_cast<uint64_t>(slot) * a.state_stride;
  return std::vector<float>(at, at + count);
}

template <class Args> static void leave_state(const Args &a, uint32_t request, const std::vector<float> &state) {
  std::copy(state.begin(), state.end(), a.state + static_cast<uint64_t>(a.write_slots[request]) * a.state_stride);
}

bz_status bz::run(const bz_causal_conv_args &a) {
  BZ_TRY(check_requests("causal_conv", a));
  const uint64_t cols = a.x.cols, taps = a.num_taps;
  for (uint32_t r = 0; r < a.num_requests; r++) {
    const uint64_t begin = static_cast<uint64_t>(a.query_start[r]), end = static_cast<uint64_t>(a.query_start[r + 1]);
    if (begin == end) continue;
    std::vector<float> inputs = first_state(a, r, (taps - 1) * cols); // rows of `cols`, the state's first
    for (uint64_t t = begin; t < end; t++) {
      const std::vector<float> x = read_row(a.x, t);
      inputs.insert(inputs.end(), x.begin(), x.end());
    }
    for (uint64_t t = begin; t < end; t++) {
      std::vector<float> y(cols);
      for (uint64_t i = 0; i < cols; i++) {
        double sum = a.bias == nullptr ? 0 : a.bias[i];
        for (uint64_t k = 0; k < taps; k++)
          sum += static_cast<double>(a.w[k * cols + i]) * inputs[(t - begin + k) * cols + i];
        y[i] = static_cast<float>(a.silu != 0 ? silu(sum) : sum);
      }
      write_row(a.y, t, y);
    }
    inputs.erase(inputs.begin(), inputs.end() - static_cast<int64_t>((taps - 1) * cols));
    leave_state(a, r, inputs);
  }
  clear_padding(a);
  return BZ_OK;
}

bz_status bz::run(const bz_selective_scan_args &a) {
  BZ_TRY(check_requests("selective_scan", a));
  const uint64_t heads = a.num_heads, channels = a.head_dim, values = a.state_dim;
  for (uint32_t r = 0; r < a.num_requests; r++) {
    const uint64_t begin = static_cast<uint64_t>(a.query_start[r]), end = static_cast<uint64_t>(a.query_start[r + 1]);
    if (begin == end) continue;
    std::vector<float> state = first_state(a, r, heads * channels * values);
    for (uint64_t t = begin; t < end; t++) {
      const std::vector<float> x = read_row(a.x, t), dt = read_row(a.dt, t), b = read_row(a.b, t), c = read_row(a.c, t);
      const std::vector<float> z = a.z.data == nullptr ? std::vector<float>() : read_row(a.z, t);
      std::vector<float> y(x.size());
      for (uint64_t h = 0; h < heads; h++) {
        const uint64_t group = h / (heads / a.num_groups) * values;
        const double bias = a.dt_bias == nullptr ? 0 : a.dt_bias[h], skip = a.skip == nullptr ? 0 : a.skip[h];
        const double step = std::min<double>(std::max<double>(softplus(dt[h] + bias), a.dt_min), a.dt_max);
        const float *decay = static_cast<const float *>(row_at(a.a, h));
        for (uint64_t p = 0; p < channels; p++) {
          const uint64_t i = h * channels + p;
          double sum = skip * x[i];
          for (uint64_t n = 0; n < values; n++) {
            float &s = state[i * values + n];
            s = static_cast<float>(std::exp(step * decay[a.a.cols == 1 ? 0 : n]) * s + step * b[group + n] * x[i]);
            sum += static_cast<double>(c[group + n]) * s;
          }
          y[i] = static_cast<float>(z.empty() ? sum : sum * silu(z[i]));
        }
      }
      write_row(a.y, t, y);
    }
    leave_state(a, r, state);
  }
  clear_padding(a);
  return BZ_OK;
}

bz_status bz::run(const bz_gated_rms_norm_args &a) {
  const uint32_t size = a.x.cols / a.num_groups;
  for (uint64_t t = 0; t < a.num_tokens; t++) {
    std::vector<float> x = read_row(a.x, t);
    const std::vector<float> z = read_row(a.z, t);
    for (uint32_t first = 0; first < a.x.cols; first += size) {
      std::vector<double> h(size);
      double sum = 0;
      for (uint32_t i = 0; i < size; i++) {
        h[i] = a.gate_last != 0 ? x[first + i] : x[first + i] * silu(z[first + i]);
        sum += h[i] * h[i];
      }
      const double scale = 1 / std::sqrt(sum / size + a.eps);
      for (uint32_t i = 0; i < size; i++) {
        const double gate = a.gate_last != 0 ? silu(z[first + i]) : 1;
        x[first + i] = static_cast<float>(h[i] * scale * a.w[first + i] * gate);
      }
    }
    write_row(a.y, t, x);
  }
  return BZ_OK;
}
