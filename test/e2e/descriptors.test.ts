import { expect, test } from "bun:test"
import { connect, type Socket } from "node:net"
import { readFileSync } from "node:fs"
import { resolve } from "node:path"
import { startServerProcess } from "./server-process.ts"

/** A server without a model, whose process may have 64 files open. */
const SERVER = resolve(import.meta.dir, "../tools/fake-server.ts")
const LIMIT = 64

/** Hundredths of a second of processor time. */
function mainThreadTicks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/task/${pid}/stat`, "utf8").split(") ").at(-1)!.split(" ")
  return Number(fields[11]) + Number(fields[12])
}

function connected(port: number): Promise<Socket> {
  return new Promise((done, fail) => {
    const socket = connect(port, "127.0.0.1", () => done(socket))
    socket.on("error", fail)
  })
}

test("out of file descriptors the server rests, and serves those who waited as soon as it has some", async () => {
  const command = ["/bin/sh", "-c", `ulimit -n ${LIMIT}; exec "$@"`, "sh", process.execPath, SERVER]
  const server = await startServerProcess(command, { cwd: import.meta.dir })
  const port = Number(new URL(server.url).port)
  try {
    const sockets: Socket[] = []
    // A byte of a request each, as the kernel keeps connections to itself that say nothing.
    for (let i = 0; i < 3 * LIMIT; i++) {
      const socket = await connected(port)
      socket.write("G")
      sockets.push(socket)
    }
    await Bun.sleep(500)
    const before = mainThreadTicks(server.pid)
    await Bun.sleep(1500)
    expect(mainThreadTicks(server.pid) - before).toBeLessThan(10)
    for (const socket of sockets) socket.destroy()
    const { status } = await fetch(`${server.url}/health`)
    expect(status).toBe(200)
  } finally {
    await server.stop("SIGKILL")
  }
}, 30_000)
