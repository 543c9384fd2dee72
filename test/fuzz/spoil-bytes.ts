import type { Prng } from "../../src/base/prng.ts"

/** Numbers that overflow a type, or point far away. */
const HOSTILE = [
  0n, 1n, 127n, 255n, 2n ** 15n, 2n ** 31n - 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 53n, 2n ** 60n, 2n ** 63n,
  2n ** 64n - 1n,
]

/** A copy of `bytes`, spoiled in a few places: as a bad disk does it, a broken download, or somebody who knows how. */
export function spoiledBytes(bytes: Uint8Array, prng: Prng): Uint8Array {
  let out: Uint8Array = bytes.slice()
  for (let changes = prng.int(1, 6); changes > 0 && out.length > 0; changes--) out = spoil(out, prng)
  return out
}

function spoil(bytes: Uint8Array, prng: Prng): Uint8Array {
  const at = prng.int(0, bytes.length - 1)
  const length = Math.min(prng.int(1, 64), bytes.length - at)
  switch (prng.int(0, 6)) {
    case 0:
      bytes[at]! ^= 1 << prng.int(0, 7)
      return bytes
    case 1:
      bytes[at] = prng.int(0, 255)
      return bytes
    case 2:
      return setNumber(bytes, at, prng)
    case 3: // a part is missing
      return joined(bytes.subarray(0, at), bytes.subarray(at + length))
    case 4: // a part is there twice
      return joined(bytes.subarray(0, at + length), bytes.subarray(at))
    case 5: // a part stands elsewhere
      bytes.copyWithin(prng.int(0, bytes.length - 1), at, at + length)
      return bytes
    default: // the end is missing, as of most broken files
      return prng.chance(0.3) ? bytes.subarray(0, at) : setNumber(bytes, at, prng)
  }
}

function setNumber(bytes: Uint8Array, at: number, prng: Prng): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const value = prng.pick([...HOSTILE, BigInt(bytes.length), BigInt(at)])
  if (at + 8 <= bytes.length && prng.chance(0.6)) view.setBigUint64(at, value, true)
  else if (at + 4 <= bytes.length) view.setUint32(at, Number(BigInt.asUintN(32, value)), true)
  return bytes
}

function joined(...parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts))
}
