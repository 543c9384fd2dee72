/** Calls of every op: shapes that agree with their buffers, and contents that nobody should send. */
import type { OpName } from "../../ffi/structs.ts"
import type { Prng } from "../../src/base/prng.ts"
import type { NativeMemory } from "./native-memory.ts"

export type Fields = Record<string, number>

export interface CallContext {
  readonly prng: Prng
  readonly memory: NativeMemory
  /** A weight [n, c] of any kind, or a stack of `numExperts`. */
  weight(numExperts?: number): { readonly address: number; readonly n: number; readonly c: number }
  /** Bytes of one layer's keys. */
  cacheBytes(shape: Fields): number
  /** Bytes of one layer's latents. */
  latentCacheBytes(shape: Fields): number
}

const EXTREMES = [0, -0, 1, -1, NaN, Infinity, -Infinity, 1e-45, 1.1754944e-38, 3.4028235e38, -3.4028235e38, 0.5, 88.8]

function floats({ prng, memory }: CallContext, count: number): number {
  const isWild = prng.chance(0.3)
  const values = Float32Array.from({ length: count }, () => (
    isWild && prng.chance(0.3) ? prng.pick(EXTREMES) : prng.float() * 2 - 1
  ))
  return memory.put(values)
}

/** Indices below `end`, most of the time. */
function indices({ prng, memory }: CallContext, count: number, end: number): number {
  const isWild = prng.chance(0.4)
  const wild = [-1, end, end + 1, -(2 ** 31), 2 ** 31 - 1, 65_536, -2]
  return memory.put(Int32Array.from({ length: count }, () => (
    isWild && prng.chance(0.3) ? prng.pick(wild) : prng.int(0, Math.max(0, end - 1))
  )))
}

/** The fields of a matrix of `count` rows. */
function matrix(context: CallContext, field: string, count: number, cols: number): Fields {
  const stride = cols + context.prng.pick([0, 0, 1, 16])
  const data = floats(context, count === 0 ? 0 : (count - 1) * stride + cols)
  return { [`${field}.data`]: data, [`${field}.cols`]: cols, [`${field}.stride`]: stride }
}

/** A status for each row, or none. */
function rowStatus({ prng, memory }: CallContext, count: number): Fields {
  return prng.chance(0.5) ? { row_status: memory.put(new Int32Array(count)) } : {}
}

function cacheShape(prng: Prng): Fields {
  return {
    num_kv_heads: prng.int(1, 3), head_dim: 8 * prng.int(1, 5), block_size: 16 * prng.int(1, 2),
    num_blocks: prng.int(1, 4), kv_dtype: prng.pick([0, 2]),
  }
}

function cache(context: CallContext, shape: Fields): { k_cache: number; v_cache: number } {
  const bytes = (): Uint8Array => new Uint8Array(context.cacheBytes(shape)).fill(context.prng.pick([0, 0, 0x3f]))
  return { k_cache: context.memory.put(bytes()), v_cache: context.memory.put(bytes()) }
}

/** Rows, lengths and blocks of a few requests. */
function pagedRequests(context: CallContext, shape: Fields): Fields & { num_tokens: number } {
  const { prng, memory } = context
  const num_requests = prng.int(0, 3)
  const perRequest = Array.from({ length: num_requests }, () => prng.int(0, 3))
  const starts = [0]
  for (const count of perRequest) starts.push(starts.at(-1)! + count)
  const num_tokens = starts.at(-1)! + prng.pick([0, 0, 3])
  const M = prng.int(1, 3)
  const seqLens = perRequest.map((count) => count + prng.int(0, M * shape["block_size"]! - count))
  const spoil = (values: number[], wild: readonly number[]): Int32Array => {
    if (values.length > 0 && prng.chance(0.25)) values[prng.int(0, values.length - 1)] = prng.pick(wild)
    return Int32Array.from(values)
  }
  const wildLengths = [-1, 0, 2 ** 31 - 1, -(2 ** 31), M * shape["block_size"]! + 1]
  return {
    num_tokens, num_requests, block_table_stride: M,
    query_start: memory.put(spoil(starts, [-1, num_tokens + 1, 2 ** 31 - 1, -(2 ** 31)])),
    seq_lens: memory.put(spoil(seqLens, wildLengths)),
    block_table: indices(context, num_requests * M, shape["num_blocks"]!),
  }
}

function latentShape(prng: Prng): Fields {
  return {
    rank: 8 * prng.int(1, 9), rope_dim: 8 * prng.int(1, 4), block_size: 16 * prng.int(1, 2),
    num_blocks: prng.int(1, 4), kv_dtype: prng.pick([0, 2]),
  }
}

function latents({ prng, memory, latentCacheBytes }: CallContext, shape: Fields): number {
  return memory.put(new Uint8Array(latentCacheBytes(shape)).fill(prng.pick([0, 0, 0x3f])))
}

/** Requests of up to three rows each, with the slots of their states; `stateSize`: values of a state. */
function states(context: CallContext, stateSize: number): Fields {
  const { prng, memory } = context
  const [num_requests, num_slots] = [prng.int(0, 3), prng.int(1, 4)]
  const starts = new Int32Array(num_requests + 1)
  for (let r = 0; r < num_requests; r++) starts[r + 1] = starts[r]! + prng.int(0, 3)
  const num_tokens = starts[num_requests]! + prng.pick([0, 0, 3])
  if (prng.chance(0.2)) starts[prng.int(0, num_requests)] = prng.pick([-1, num_tokens + 1, 2 ** 31 - 1, -(2 ** 31)])
  const state_stride = stateSize + prng.pick([0, 0, 3])
  return {
    num_tokens, num_requests, num_slots, state_stride, query_start: memory.put(starts),
    read_slots: indices(context, num_requests, num_slots), write_slots: indices(context, num_requests, num_slots),
    state: floats(context, num_slots * state_stride),
  }
}

export const OP_CALLS: Readonly<Record<OpName, (context: CallContext) => Fields>> = {
  bz_embedding(context) {
    const { address, n, c } = context.weight()
    const num_tokens = context.prng.int(0, 5)
    return {
      num_tokens, weight: address, ids: indices(context, num_tokens, n), scale: context.prng.pick(EXTREMES),
      ...matrix(context, "y", num_tokens, c), ...rowStatus(context, num_tokens),
    }
  },
  bz_rms_norm(context) {
    const [num_tokens, c] = [context.prng.int(0, 5), context.prng.int(1, 70)]
    return {
      num_tokens, eps: 1e-5, w: floats(context, c), w_offset: context.prng.int(0, 1),
      ...matrix(context, "x", num_tokens, c), ...matrix(context, "y", num_tokens, c),
      ...(context.prng.chance(0.5) ? matrix(context, "residual", num_tokens, c) : {}),
    }
  },
  bz_linear(context) {
    const { address, n, c } = context.weight()
    const num_tokens = context.prng.pick([0, 1, 2, 5, 17])
    return {
      num_tokens, flags: context.prng.int(0, 3), weight: address,
      bias: context.prng.chance(0.5) ? floats(context, n) : 0,
      ...matrix(context, "x", num_tokens, c), ...matrix(context, "y", num_tokens, n),
    }
  },
  bz_route(context) {
    const { prng, memory } = context
    const [num_tokens, groupSize, num_groups] = [prng.int(0, 5), prng.int(1, 9), prng.pick([1, 1, 2, 4])]
    const [x, top_groups] = [groupSize * num_groups, prng.int(1, num_groups)]
    const top_k = prng.int(1, groupSize * top_groups)
    return {
      num_tokens, top_k, scores: prng.int(0, 1), normalize: prng.int(0, 1), num_groups, top_groups,
      group_scores: prng.int(0, 1), scale: prng.pick(EXTREMES), ...matrix(context, "x", num_tokens, x),
      bias: prng.chance(0.5) ? floats(context, x) : 0, ids: memory.put(new Int32Array(num_tokens * top_k)),
      weights: memory.put(new Float32Array(num_tokens * top_k)),
    }
  },
  bz_linear_experts(context) {
    const { prng } = context
    const numExperts = prng.int(1, 4)
    const { address, n, c } = context.weight(numExperts)
    const [tokens, x_repeat] = [prng.pick([0, 1, 2, 5, 17]), prng.int(1, 3)]
    const num_rows = tokens * x_repeat
    return {
      num_rows, flags: prng.pick([0, 2]), x_repeat, weight: address,
      bias: prng.chance(0.5) ? floats(context, numExperts * n) : 0, ids: indices(context, num_rows, numExperts),
      ...matrix(context, "x", tokens, c), ...matrix(context, "y", num_rows, n), ...rowStatus(context, num_rows),
    }
  },
  bz_combine(context) {
    const [num_tokens, top_k, c] = [context.prng.int(0, 5), context.prng.int(1, 4), context.prng.int(1, 70)]
    return {
      num_tokens, top_k, accumulate: context.prng.int(0, 1), ...matrix(context, "x", num_tokens * top_k, c),
      ...matrix(context, "y", num_tokens, c), weights: floats(context, num_tokens * top_k),
    }
  },
  bz_gated_act(context) {
    const [num_tokens, f] = [context.prng.int(0, 5), context.prng.int(1, 70)]
    return {
      num_tokens, act: context.prng.int(0, 3), ...matrix(context, "x", num_tokens, 2 * f),
      ...matrix(context, "y", num_tokens, f),
    }
  },
  bz_rope_kv(context) {
    const { prng } = context
    const shape = cacheShape(prng)
    const [num_tokens, num_heads, num_positions] = [prng.int(0, 5), prng.int(0, 4), prng.int(1, 9)]
    const [d, k] = [shape["head_dim"]!, shape["num_kv_heads"]!]
    const rot_dim = 2 * prng.int(0, d / 2)
    const numSlots = shape["num_blocks"]! * shape["block_size"]!
    return {
      ...shape, num_tokens, num_heads, rot_dim, num_positions, interleaved: prng.int(0, 1), eps: 1e-6,
      ...matrix(context, "qkv", num_tokens, (num_heads + 2 * k) * d), ...rowStatus(context, num_tokens),
      positions: indices(context, num_tokens, num_positions), slots: indices(context, num_tokens, numSlots),
      cos_sin: floats(context, num_positions * rot_dim),
      q_norm: prng.chance(0.5) ? floats(context, d) : 0, k_norm: prng.chance(0.5) ? floats(context, d) : 0,
      ...(prng.chance(0.8) ? cache(context, shape) : {}),
    }
  },
  bz_attention(context) {
    const { prng } = context
    const shape = cacheShape(prng)
    const d = shape["head_dim"]!
    const num_heads = shape["num_kv_heads"]! * prng.int(1, 3)
    const requests = pagedRequests(context, shape)
    const { num_tokens } = requests
    return {
      ...shape, ...requests, num_heads, causal: 1, scale: 0.3,
      window: prng.pick([0, 0, 1, 7, 2 ** 32 - 1]),
      softcap: prng.pick([0, 0, 5]), ...matrix(context, "q", num_tokens, num_heads * d),
      ...matrix(context, "out", num_tokens, num_heads * d), ...cache(context, shape),
      sinks: prng.chance(0.3) ? floats(context, num_heads) : 0,
    }
  },
  bz_latent_kv(context) {
    const { prng } = context
    const shape = latentShape(prng)
    const [num_tokens, num_heads, num_positions] = [prng.int(0, 5), prng.int(1, 4), prng.int(1, 9)]
    const [rank, rope] = [shape["rank"]!, shape["rope_dim"]!]
    const numSlots = shape["num_blocks"]! * shape["block_size"]!
    return {
      ...shape, num_tokens, num_heads, num_positions, interleaved: prng.int(0, 1), eps: 1e-6,
      ...matrix(context, "kv", num_tokens, rank + rope),
      ...matrix(context, "q", num_tokens, num_heads * (rope + prng.int(0, 20))),
      ...matrix(context, "out", num_tokens, num_heads * (rank + rope)), ...rowStatus(context, num_tokens),
      positions: indices(context, num_tokens, num_positions), slots: indices(context, num_tokens, numSlots),
      cos_sin: floats(context, num_positions * rope), w: floats(context, rank), cache: latents(context, shape),
    }
  },
  bz_latent_attention(context) {
    const { prng } = context
    const shape = latentShape(prng)
    const [rank, rope, num_heads] = [shape["rank"]!, shape["rope_dim"]!, prng.int(1, 40)]
    const requests = pagedRequests(context, shape)
    const { num_tokens } = requests
    return {
      ...shape, ...requests, num_heads, scale: 0.3, ...matrix(context, "q", num_tokens, num_heads * (rank + rope)),
      ...matrix(context, "out", num_tokens, num_heads * rank), cache: latents(context, shape),
    }
  },
  bz_linear_heads(context) {
    const { prng, memory } = context
    const [num_tokens, num_heads, n, c] = [prng.int(0, 8), prng.int(1, 4), prng.int(1, 70), prng.int(1, 40)]
    const w = prng.chance(0.5)
      ? { w_dtype: 0, w: floats(context, num_heads * n * c) }
      : { w_dtype: 2, w: memory.put(Uint16Array.from({ length: num_heads * n * c }, () => prng.int(0, 65535))) }
    return {
      num_tokens, num_heads, n, c, ...w, ...matrix(context, "x", num_tokens, num_heads * (c + prng.pick([0, 5]))),
      ...matrix(context, "y", num_tokens, num_heads * (n + prng.pick([0, 3]))),
    }
  },
  bz_causal_conv(context) {
    const { prng } = context
    const [c, num_taps] = [prng.int(1, 40), prng.int(2, 8)]
    const of = states(context, (num_taps - 1) * c)
    const x = matrix(context, "x", of["num_tokens"]!, c)
    return {
      ...of, num_taps, silu: prng.int(0, 1), ...x, ...matrix(context, "y", of["num_tokens"]!, c),
      w: floats(context, num_taps * c), bias: prng.chance(0.5) ? floats(context, c) : 0,
    }
  },
  bz_selective_scan(context) {
    const { prng } = context
    const [num_groups, head_dim, state_dim] = [prng.int(1, 3), prng.int(1, 5), prng.int(1, 20)]
    const num_heads = num_groups * prng.int(1, 3)
    const of = states(context, num_heads * head_dim * state_dim)
    const rows = (field: string, cols: number): Fields => matrix(context, field, of["num_tokens"]!, cols)
    return {
      ...of, num_heads, head_dim, state_dim, num_groups, dt_min: 0, dt_max: prng.pick([0, 1, Infinity]),
      ...rows("x", num_heads * head_dim), ...rows("dt", num_heads), ...rows("b", num_groups * state_dim),
      ...rows("c", num_groups * state_dim), ...(prng.chance(0.5) ? rows("z", num_heads * head_dim) : {}),
      ...rows("y", num_heads * head_dim), ...matrix(context, "a", num_heads, prng.pick([1, state_dim])),
      dt_bias: prng.chance(0.5) ? floats(context, num_heads) : 0,
      skip: prng.chance(0.5) ? floats(context, num_heads) : 0,
    }
  },
  bz_gated_rms_norm(context) {
    const { prng } = context
    const [num_tokens, num_groups] = [prng.int(0, 5), prng.int(1, 4)]
    const c = num_groups * prng.int(1, 40)
    return {
      num_tokens, num_groups, gate_last: prng.int(0, 1), eps: 1e-5, w: floats(context, c),
      ...matrix(context, "x", num_tokens, c), ...matrix(context, "z", num_tokens, c),
      ...matrix(context, "y", num_tokens, c),
    }
  },
  bz_gather_rows(context) {
    const [num_rows, c, num_source_rows] = [context.prng.int(0, 5), context.prng.int(1, 40), context.prng.int(0, 5)]
    return {
      num_rows, num_source_rows, ...matrix(context, "x", num_source_rows, c), ...matrix(context, "y", num_rows, c),
      rows: indices(context, num_rows, num_source_rows), ...rowStatus(context, num_rows),
    }
  },
  bz_softcap(context) {
    const [num_tokens, c] = [context.prng.int(0, 5), context.prng.int(1, 70)]
    return {
      num_tokens, cap: context.prng.pick([...EXTREMES, 30]), ...matrix(context, "x", num_tokens, c),
      ...matrix(context, "y", num_tokens, c),
    }
  },
  bz_add(context) {
    const [num_tokens, c] = [context.prng.int(0, 5), context.prng.int(1, 70)]
    return {
      num_tokens, scale: context.prng.pick(EXTREMES), ...matrix(context, "x", num_tokens, c),
      ...matrix(context, "y", num_tokens, c),
    }
  },
  bz_scatter_ids(context) {
    const { prng, memory } = context
    const [num_ids, num_src, num_dst] = [prng.int(0, 5), prng.int(0, 5), prng.int(0, 5)]
    return {
      num_ids, num_src, num_dst, src: memory.put(new Int32Array(num_src)), src_rows: indices(context, num_ids, num_src),
      dst_rows: indices(context, num_ids, num_dst), dst: memory.put(new Int32Array(num_dst)),
    }
  },
  bz_check_finite(context) {
    const [num_rows, c] = [context.prng.int(0, 5), context.prng.int(1, 70)]
    return { num_rows, ...matrix(context, "x", num_rows, c), row_status: context.memory.put(new Int32Array(num_rows)) }
  },
  bz_logits_process(context) {
    const { prng, memory } = context
    const [R, V] = [prng.int(0, 4), prng.int(1, 100)]
    const counts = Array.from({ length: R }, () => prng.int(0, 4))
    const starts = counts.reduce<number[]>((sums, count) => [...sums, sums.at(-1)! + count], [0])
    const total = starts.at(-1)!
    const stride = prng.int(1, 6)
    const groups: Fields[] = [
      { bitmask: memory.put(Uint32Array.from({ length: R * Math.ceil(V / 32) }, () => prng.uint32())),
        bitmask_row: memory.put(Int32Array.from({ length: R }, (_, r) => (prng.chance(0.5) ? r : -1))) },
      { allow_start: memory.put(Int32Array.from(starts)), allow_ids: indices(context, total, V) },
      { edit_start: memory.put(Int32Array.from(starts)), edit_ids: indices(context, total, V),
        edit_values: floats(context, total) },
      { token_ids: indices(context, R * stride, V), token_stride: stride,
        token_row: memory.put(Int32Array.from({ length: R }, (_, r) => r)),
        num_tokens_of: memory.put(Int32Array.from({ length: R }, () => prng.int(0, stride))),
        num_prompt_of: memory.put(Int32Array.from({ length: R }, () => prng.int(0, stride))),
        repetition: floats(context, R), frequency: floats(context, R), presence: floats(context, R) },
    ]
    return {
      num_requests: R, ...matrix(context, "logits", R, V), ...rowStatus(context, R),
      ...Object.assign({}, ...groups.filter(() => prng.chance(0.7))) as Fields,
    }
  },
  bz_sample(context) {
    const { prng, memory } = context
    const [R, V] = [prng.int(0, 4), prng.pick([1, 2, 7, 33, 300])]
    const wanted = (usual: () => number): Float32Array =>
      Float32Array.from({ length: R }, () => (prng.chance(0.3) ? prng.pick(EXTREMES) : usual()))
    return {
      num_requests: R, ...matrix(context, "logits", R, V), ...rowStatus(context, R),
      temperature: memory.put(wanted(() => prng.float())), top_p: memory.put(wanted(() => prng.float())),
      min_p: memory.put(wanted(() => prng.float() / 10)), top_k: indices(context, R, V + 1),
      seeds: memory.put(BigUint64Array.from({ length: R }, () => BigInt(prng.uint32()) << 33n)),
      positions: indices(context, R, 100), out: memory.put(new Int32Array(R)),
      ...(prng.chance(0.5) ? matrix(context, "out_processed", R, V) : {}),
    }
  },
  bz_logprobs(context) {
    const { prng, memory } = context
    const [R, V] = [prng.int(0, 4), prng.pick([1, 2, 7, 33, 300])]
    const num_top = prng.int(0, Math.min(V, 9))
    return {
      num_requests: R, num_top, mode: prng.int(0, 1), ...matrix(context, "logits", R, V),
      ids: indices(context, R, V), out_logprob: memory.put(new Float32Array(R)),
      out_rank: memory.put(new Int32Array(R)), out_top_ids: memory.put(new Int32Array(R * num_top)),
      out_top_logprobs: memory.put(new Float32Array(R * num_top)),
    }
  },
}
