import { describe, expect, test } from "bun:test"
import { closeSync, openSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DescriptorWriter, type DescriptorWriterOptions } from "../../../src/base/descriptor-writer.ts"

/** A descriptor whose reader takes what the test lets it take. */
class Reader {
  text = ""
  #taken = Promise.withResolvers<number>()
  #asked = 0

  readonly writeSome = async (_descriptor: number, bytes: Uint8Array): Promise<number> => {
    this.#asked += 1
    const most = await this.#taken.promise
    this.#taken = Promise.withResolvers()
    this.text += Buffer.from(bytes.subarray(0, most)).toString()
    return Math.min(most, bytes.length)
  }

  /** Resolves when the writer has had time to come back with the rest. */
  async take(most = Infinity): Promise<void> {
    this.#taken.resolve(most)
    for (let i = 0; i < 10; i++) await Promise.resolve()
  }

  fail(code: string): void {
    this.#taken.reject(Object.assign(new Error(code), { code }))
    this.#taken = Promise.withResolvers()
  }

  get numWrites(): number {
    return this.#asked
  }
}

function make(options: Partial<DescriptorWriterOptions> = {}) {
  const reader = new Reader()
  return { reader, writer: new DescriptorWriter(9, { maxBytes: 10, writeSome: reader.writeSome, ...options }) }
}

describe("a reader that stalls", () => {
  test("holds nobody up: text waits up to the limit, the rest is dropped and counted", async () => {
    const { reader, writer } = make()
    expect([..."abcdefghijkl"].map((letter) => writer.write(letter))).toEqual([...Array(10).fill(true), false, false])
    expect(writer.numDropped).toBe(2)
    expect(reader.text).toBe("")
    await reader.take()
    await reader.take()
    await writer.flush()
    expect(reader.text).toBe("abcdefghij")
    expect(writer.write("m")).toBe(true)
    await reader.take()
    expect(reader.text).toBe("abcdefghijm")
    expect(writer.numDropped).toBe(2)
  })

  test("counts against the limit what is on its way, and bytes, not characters", async () => {
    const { reader, writer } = make()
    expect(writer.write("12345678")).toBe(true)
    expect(writer.write("\u20ac")).toBe(false)
    expect(writer.write("9")).toBe(true)
    await reader.take(3)
    expect(writer.write("12")).toBe(false)
    await reader.take()
    expect(writer.write("123456789")).toBe(true)
  })

  test("gets what waited at once, in order, in as many pieces as it takes", async () => {
    const { reader, writer } = make({ maxBytes: 100 })
    for (const word of ["one ", "two ", "three"]) writer.write(word)
    for (const most of [1, 3, 2, Infinity]) await reader.take(most)
    await writer.flush()
    expect(reader.text).toBe("one two three")
    expect(reader.numWrites).toBe(4)
  })

  test("delays a flush until its time is up", async () => {
    const { reader, writer } = make()
    writer.write("a")
    await writer.flush(1)
    expect(reader.text).toBe("")
    const flushed = writer.flush()
    await reader.take()
    await flushed
    expect(reader.text).toBe("a")
    await writer.flush()
  })
})

describe("a write that fails", () => {
  test("drops its text, and later text is tried again", async () => {
    const { reader, writer } = make()
    writer.write("a")
    writer.write("b")
    writer.write("c")
    reader.fail("EPIPE")
    for (let i = 0; i < 10; i++) await Promise.resolve()
    expect(writer.numDropped).toBe(1)
    await reader.take()
    await writer.flush()
    expect(reader.text).toBe("bc")
    expect(writer.write("0123456789")).toBe(true)
  })

  test("is told, once, where somebody wants to hear of it; then nothing is written any more", async () => {
    const errors: string[] = []
    const { reader, writer } = make({ onError: ({ code }) => errors.push(code!) })
    writer.write("a")
    writer.write("b")
    reader.fail("ENOSPC")
    for (let i = 0; i < 10; i++) await Promise.resolve()
    expect(errors).toEqual(["ENOSPC"])
    expect(writer.write("c")).toBe(false)
    expect(writer.numDropped).toBe(3)
    await writer.flush()
    expect(reader.text).toBe("")
  })

  test("because a descriptor does not block, and is full, is tried again", async () => {
    const { reader, writer } = make()
    writer.write("a")
    reader.fail("EAGAIN")
    const flushed = writer.flush()
    await reader.take()
    await flushed
    expect(reader.text).toBe("a")
    expect(writer.numDropped).toBe(0)
  })
})

test("a file holds what was written", async () => {
  const path = join(tmpdir(), `baozi-writer-${process.pid}`)
  const descriptor = openSync(path, "w")
  const writer = new DescriptorWriter(descriptor, { maxBytes: Infinity })
  const lines = Array.from({ length: 5000 }, (_, i) => `line ${i}\n`)
  for (const line of lines) writer.write(line)
  await writer.flush()
  closeSync(descriptor)
  expect(readFileSync(path, "utf8")).toBe(lines.join(""))
  rmSync(path)
})
