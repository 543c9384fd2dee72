import { CString, dlopen, FFIType, type Pointer } from "bun:ffi"
import { ConfigError } from "../src/base/errors.ts"

// <dlfcn.h> on Linux
const RTLD_NOW = 0x2
const RTLD_GLOBAL = 0x100

/**
 * Settings that a library reads from the environment while it is loaded; a value that the user has set stays.
 *
 * OpenMP's threads must not spin for long after a parallel region: an idle server uses no processor time, and spinning
 * threads would take it from the thread that answers HTTP. (Within a step the kernels have barriers of their own.)
 */
const LIBRARY_ENVIRONMENT: Readonly<Record<string, string>> = {
  OMP_WAIT_POLICY: "passive",
  GOMP_SPINCOUNT: "1000",
  OMP_DYNAMIC: "false",
}

const LIBC = {
  dlopen: { args: [FFIType.ptr, FFIType.i32], returns: FFIType.ptr },
  dlerror: { args: [], returns: FFIType.ptr },
  setenv: { args: [FFIType.ptr, FFIType.ptr, FFIType.i32], returns: FFIType.i32 },
} as const

function openLibc() {
  // Since glibc 2.34 dlopen lives in libc itself; libdl still brings in libc's other symbols.
  try {
    return dlopen("libc.so.6", LIBC)
  } catch {
    return dlopen("libdl.so.2", LIBC)
  }
}

function cString(text: string): Uint8Array {
  return new TextEncoder().encode(`${text}\0`)
}

/**
 * Opens libraries by path, in order, so that a later one that needs them by name finds them: the loader knows open
 * libraries by their soname. They stay open for the life of the process.
 *
 * Sets LIBRARY_ENVIRONMENT first, through libc: assigning to `process.env` does not reach native code.
 * Call it on the thread that opens the kernel library. Errors: `ConfigError` with the loader's words.
 */
export function preloadLibraries(paths: readonly string[]): void {
  const libc = openLibc().symbols
  for (const [name, value] of Object.entries(LIBRARY_ENVIRONMENT)) libc.setenv(cString(name), cString(value), 0)
  for (const path of paths) {
    if (libc.dlopen(cString(path), RTLD_NOW | RTLD_GLOBAL) !== null) continue
    const words = libc.dlerror() as Pointer | null
    throw new ConfigError(`cannot load ${path}: ${words === null ? "no reason given" : new CString(words).toString()}`)
  }
}
