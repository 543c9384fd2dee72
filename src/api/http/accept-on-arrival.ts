/**
 * Keeps a listening socket from waking its thread for connections that it cannot take.
 *
 * A process that is out of file descriptors cannot accept, and a connection that is not accepted goes on being
 * reported: the runtime's event loop would spin until another connection ends. Here it is reported once, when it
 * arrives, and again every few seconds as long as it waits. The runtime has no setting for this: it is changed where the
 * kernel keeps it, which /proc tells.
 */
import { dlopen, ptr } from "bun:ffi"
import { readdirSync, readFileSync, readlinkSync } from "node:fs"

const EPOLL_CTL_MOD = 3
const EPOLLET = 0x8000_0000
const [SOL_SOCKET, SO_ACCEPTCONN] = [1, 30]
/** `struct epoll_event` is packed on x86-64 alone. */
const DATA_OFFSET = process.arch === "x64" ? 4 : 8
const REMINDER_MS = 2000

/** A file that an event loop of this process waits for, and what the kernel keeps for it. */
interface WatchedFile {
  readonly epoll: number
  readonly file: number
  readonly events: number
  readonly data: bigint
}

/**
 * Runs `listen` and changes the sockets that it listens on. To be stopped before they are closed. Does nothing where
 * the system has no /proc or no glibc.
 */
export function acceptingOnArrival<T>(listen: () => T): { readonly listener: T; stop(): void } {
  const earlier = new Set(watchedFiles().map(({ data }) => data))
  const listener = listen()
  const libc = openLibc()
  if (libc === null) return { listener, stop: () => {} }
  const { epoll_ctl, getsockopt } = libc.symbols

  const isListening = (file: number): boolean => {
    const value = new Int32Array(1)
    const length = new Uint32Array([value.byteLength])
    return getsockopt(file, SOL_SOCKET, SO_ACCEPTCONN, ptr(value), ptr(length)) === 0 && value[0] === 1
  }
  const sockets = watchedFiles().filter(({ data, file }) => !earlier.has(data) && isListening(file))
  // The kernel looks at the socket whenever it is told this, and reports what waits.
  const report = (): void => {
    for (const { epoll, file, events, data } of sockets) {
      const event = new DataView(new ArrayBuffer(DATA_OFFSET + 8))
      event.setUint32(0, (events | EPOLLET) >>> 0, true)
      event.setBigUint64(DATA_OFFSET, data, true)
      epoll_ctl(epoll, EPOLL_CTL_MOD, file, ptr(event))
    }
  }
  report()
  const timer = setInterval(report, REMINDER_MS)
  timer.unref()
  const stop = (): void => {
    clearInterval(timer)
    sockets.length = 0
  }
  return { listener, stop }
}

function openLibc() {
  try {
    return dlopen("libc.so.6", {
      epoll_ctl: { args: ["i32", "i32", "i32", "ptr"], returns: "i32" },
      getsockopt: { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" },
    })
  } catch {
    return null
  }
}

function watchedFiles(): WatchedFile[] {
  return eventLoops().flatMap((epoll) => {
    const info = readFileSync(`/proc/self/fdinfo/${epoll}`, "utf8")
    const lines = info.matchAll(/^tfd:\s*(\d+)\s+events:\s*([0-9a-f]+)\s+data:\s*([0-9a-f]+)/gm)
    return Array.from(lines, ([, file, events, data]) => (
      { epoll, file: Number(file), events: parseInt(events!, 16), data: BigInt(`0x${data}`) }
    ))
  })
}

/** File descriptors of epoll. */
function eventLoops(): number[] {
  try {
    return readdirSync("/proc/self/fd").filter(isEventLoop).map(Number)
  } catch {
    return []
  }
}

function isEventLoop(file: string): boolean {
  try {
    return readlinkSync(`/proc/self/fd/${file}`) === "anon_inode:[eventpoll]"
  } catch {
    return false // closed meanwhile, as the one that lists them is
  }
}
