import fc from "fast-check"
import { expect } from "bun:test"
import { ConfigError } from "../../../src/base/errors.ts"

/** Bits flipped, bytes set, 8-byte numbers overwritten by ones that overflow or point far away. */
export function damaged(file: Uint8Array): fc.Arbitrary<Uint8Array> {
  const at = fc.nat(file.length - 1)
  const hostile = fc.constantFrom(
    0n,
    1n,
    2n ** 31n,
    2n ** 32n,
    2n ** 53n,
    2n ** 60n,
    2n ** 63n,
    2n ** 64n - 1n,
    BigInt(file.length),
  )
  const change = fc.oneof(
    fc.record({ at, bit: fc.nat(7) }).map(({ at, bit }) => (bytes: Uint8Array) => void (bytes[at]! ^= 1 << bit)),
    fc.record({ at, value: fc.nat(255) }).map(({ at, value }) => (bytes: Uint8Array) => void (bytes[at] = value)),
    fc.record({ at, value: hostile }).map(({ at, value }) => (bytes: Uint8Array) => {
      if (at + 8 <= bytes.length) new DataView(bytes.buffer, bytes.byteOffset).setBigUint64(at, value, true)
    }),
  )
  return fc.array(change, { minLength: 1, maxLength: 4 }).map((changes) => {
    const copy = file.slice()
    for (const apply of changes) apply(copy)
    return copy
  })
}

/** What `read` gives, or null when it refuses with a `ConfigError`; anything else that is thrown fails the test. */
export function readOrRefuse<T>(read: () => T): T | null {
  try {
    return read()
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    expect((error as Error).message.length).toBeLessThan(2000)
    return null
  }
}
