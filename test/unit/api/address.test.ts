import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { checkAddress } from "../../../src/api/http/server.ts"

let dir = ""
beforeAll(() => void (dir = mkdtempSync(join(tmpdir(), "baozi-address-"))))
afterAll(() => rmSync(dir, { recursive: true }))

const host = "127.0.0.1"

describe("an address", () => {
  test("that is free is free afterwards, a port as well as a socket's path", async () => {
    await checkAddress({ host, port: 0 })
    const uds = join(dir, "free.sock")
    for (let i = 0; i < 2; i++) await checkAddress({ host, port: 0, uds })
    expect(existsSync(uds)).toBe(false)
  })

  test("that somebody listens on is refused, and left to them", async () => {
    const uds = join(dir, "taken.sock")
    const [onPort, onPath] = [
      Bun.serve({ hostname: host, port: 0, fetch: () => new Response("mine") }),
      Bun.serve({ unix: uds, fetch: () => new Response("mine") }),
    ]
    const port = onPort.port!
    await expect(checkAddress({ host, port })).rejects.toThrow(`cannot listen on ${host}:${port}: the port is in use`)
    await expect(checkAddress({ host, port: 0, uds })).rejects.toThrow(`cannot listen on ${uds}: `)
    expect(await (await fetch(onPort.url)).text()).toBe("mine")
    expect(await (await fetch("http://localhost/", { unix: uds })).text()).toBe("mine")
    await Promise.all([onPort.stop(true), onPath.stop(true)])
    await checkAddress({ host, port })
  })

  test("of another machine, a path in no directory, and a certificate that is none are refused", async () => {
    await expect(checkAddress({ host: "192.0.2.1", port: 0 })).rejects.toThrow("cannot listen on 192.0.2.1:0: ")
    const uds = join(dir, "nowhere/socket")
    await expect(checkAddress({ host, port: 0, uds })).rejects.toThrow(`cannot listen on ${uds}: `)
    const certFile = join(dir, "certificate.pem")
    writeFileSync(certFile, "none")
    const tls = { certFile, keyFile: certFile, caFile: null }
    await expect(checkAddress({ host, port: 0, tls })).rejects.toThrow(`--ssl-certfile ${certFile}: `)
  })
})
