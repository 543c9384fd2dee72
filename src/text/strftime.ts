/**
 * Python's `strftime` in the C locale, for the `strftime_now` of chat templates: glibc's directives, flags and widths
 * included. Local time, as Python's `now()`.
 */
const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
const MONTHS = [
  "January", "February", "March", "April", "May", "June",
  "July", "August", "September", "October", "November", "December",
]
const DAY_MS = 86_400_000
/** Code points that one character of a format may become, at most. */
export const MAX_STRFTIME_GROWTH = 16
/** Wider fields are not filled. */
const MAX_WIDTH = 64
const DIRECTIVE = /%([-_0^#]*)(\d{0,4})[EO]?([a-zA-Z%])/g

export function strftime(date: Date, format: string): string {
  return format.replace(DIRECTIVE, (directive: string, flags: string, width: string, letter: string) => {
    const field = DIRECTIVES[letter]?.(date)
    if (field === undefined) return directive
    return place(field, flags, Math.min(Number(width), MAX_WIDTH))
  })
}

/** A number with its digits, and what fills them up; or a text. */
type Field = string | readonly [value: number, digits: number, fill: "0" | " "]

function place(field: Field, flags: string, width: number): string {
  if (typeof field === "string") {
    const text = flags.includes("^") ? field.toUpperCase() : flags.includes("#") ? swapCase(field) : field
    return text.padStart(width, flags.includes("0") ? "0" : " ")
  }
  const [value, digits, fill] = field
  const last = /[-_0](?=[^-_0]*$)/.exec(flags)?.[0]
  if (last === "-") return String(value)
  return String(value).padStart(Math.max(width, digits), last === undefined ? fill : last === "_" ? " " : "0")
}

/** "#" makes AM am, and names large. */
function swapCase(text: string): string {
  return text === "AM" || text === "PM" ? text.toLowerCase() : text.toUpperCase()
}

const number = (read: (date: Date) => number, digits: number, fill: "0" | " " = "0") =>
  (date: Date): Field => [read(date), digits, fill]
const composed = (format: string) => (date: Date): Field => strftime(date, format)
const hour12 = (date: Date) => date.getHours() % 12 || 12
const isMorning = (date: Date) => date.getHours() < 12

const DIRECTIVES: Readonly<Record<string, (date: Date) => Field>> = {
  Y: number((date) => date.getFullYear(), 1),
  C: number((date) => Math.floor(date.getFullYear() / 100), 2),
  y: number((date) => date.getFullYear() % 100, 2),
  G: number((date) => isoWeek(date).year, 1),
  g: number((date) => isoWeek(date).year % 100, 2),
  m: number((date) => date.getMonth() + 1, 2),
  d: number((date) => date.getDate(), 2),
  e: number((date) => date.getDate(), 2, " "),
  B: (date) => MONTHS[date.getMonth()]!,
  b: (date) => MONTHS[date.getMonth()]!.slice(0, 3),
  h: (date) => MONTHS[date.getMonth()]!.slice(0, 3),
  A: (date) => DAYS[date.getDay()]!,
  a: (date) => DAYS[date.getDay()]!.slice(0, 3),
  w: number((date) => date.getDay(), 1),
  u: number((date) => date.getDay() || 7, 1),
  j: number(dayOfYear, 3),
  U: number((date) => Math.floor((dayOfYear(date) + 6 - date.getDay()) / 7), 2),
  W: number((date) => Math.floor((dayOfYear(date) + 6 - ((date.getDay() + 6) % 7)) / 7), 2),
  V: number((date) => isoWeek(date).week, 2),
  H: number((date) => date.getHours(), 2),
  k: number((date) => date.getHours(), 2, " "),
  I: number(hour12, 2),
  l: number(hour12, 2, " "),
  M: number((date) => date.getMinutes(), 2),
  S: number((date) => date.getSeconds(), 2),
  f: number((date) => date.getMilliseconds() * 1000, 6),
  s: number((date) => Math.floor(date.getTime() / 1000), 1),
  p: (date) => (isMorning(date) ? "AM" : "PM"),
  P: (date) => (isMorning(date) ? "am" : "pm"),
  D: composed("%m/%d/%y"),
  F: composed("%Y-%m-%d"),
  T: composed("%H:%M:%S"),
  R: composed("%H:%M"),
  r: composed("%I:%M:%S %p"),
  x: composed("%m/%d/%y"),
  X: composed("%H:%M:%S"),
  c: composed("%a %b %e %H:%M:%S %Y"),
  z: () => "", // a Python time without a zone has none
  Z: () => "",
  n: () => "\n",
  t: () => "\t",
  "%": () => "%",
}

function dayOfYear(date: Date): number {
  return daysSince(date, date.getFullYear())
}

/** Days from the end of the year before `year`. */
function daysSince(date: Date, year: number): number {
  const today = Date.UTC(date.getFullYear(), date.getMonth(), date.getDate())
  return Math.round((today - Date.UTC(year, 0, 0)) / DAY_MS)
}

/** ISO 8601: a week belongs to the year its Thursday is in. */
function isoWeek(date: Date): { year: number; week: number } {
  const thursday = new Date(date.getFullYear(), date.getMonth(), date.getDate() + 4 - (date.getDay() || 7))
  return { year: thursday.getFullYear(), week: Math.ceil(dayOfYear(thursday) / 7) }
}
