/**
 * Files that run on threads of their own, relative to src/: each is an entry point of the executable, found at run time
 * by `workerUrl`.
 */
export const WORKERS: readonly string[] = ["engine-worker.ts", "text-worker.ts", "grammar-worker.ts"]
