/** ceil(a / b) for non-negative integers. */
export function ceilDiv(a: number, b: number): number {
  return Math.floor((a + b - 1) / b)
}

/** `a` rounded up to a multiple of `b`. */
export function roundUp(a: number, b: number): number {
  return ceilDiv(a, b) * b
}

/** Greatest common divisor of non-negative integers; that of 0 and a number is the number. */
export function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b)
}
