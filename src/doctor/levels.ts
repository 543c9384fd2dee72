/** The instruction levels of the CPU's kernels: what each needs, and which of that this processor lacks. */

export interface Level {
  readonly name: string
  readonly isUsable: boolean
  /** Why not; null for a usable one. */
  readonly reason: string | null
}

const AVX2 = ["avx2", "fma", "f16c"]
const AVX512 = [...AVX2, "avx512f", "avx512bw", "avx512dq", "avx512vl"]
const VNNI = [...AVX512, "avx512_vnni", "avx512_bf16"]

/** By the kernel's names; the best last. */
const LEVELS: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  x64: {
    scalar: [], avx2: AVX2, avx512: AVX512, avx512_vnni: VNNI, amx: [...VNNI, "amx_tile", "amx_int8", "amx_bf16"],
  },
  arm64: { scalar: [], neon: ["asimddp"] },
}

/** `usable` is what the library itself found, and has the last word. */
export function describeLevels(arch: string, flags: ReadonlySet<string>, usable: readonly string[]): Level[] {
  return Object.entries(LEVELS[arch] ?? { scalar: [] }).map(([name, needed]) => {
    if (usable.includes(name)) return { name, isUsable: true, reason: null }
    const missing = needed.filter((flag) => !flags.has(flag))
    const reason = missing.length > 0
      ? `the processor lacks ${missing.join(", ")}`
      : "the processor has it, the operating system does not let programs use it"
    return { name, isUsable: false, reason }
  })
}
