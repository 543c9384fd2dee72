/** Python's `strftime` in the C locale, for the `strftime_now` of chat templates. Local time, as Python's `now()`. */
const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
const MONTHS = [
  "January", "February", "March", "April", "May", "June",
  "July", "August", "September", "October", "November", "December",
]

export function strftime(date: Date, format: string): string {
  return format.replace(/%(-?)([a-zA-Z%])/g, (directive, dash: string, letter: string) => {
    const text = DIRECTIVES[letter]?.(date)
    if (text === undefined) return directive
    return dash === "" ? text : text.replace(/^[0 ]+(?=\d)/, "")
  })
}

const DIRECTIVES: Readonly<Record<string, (date: Date) => string>> = {
  Y: (date) => String(date.getFullYear()),
  y: (date) => pad(date.getFullYear() % 100, 2),
  m: (date) => pad(date.getMonth() + 1, 2),
  d: (date) => pad(date.getDate(), 2),
  e: (date) => String(date.getDate()).padStart(2, " "),
  B: (date) => MONTHS[date.getMonth()]!,
  b: (date) => MONTHS[date.getMonth()]!.slice(0, 3),
  h: (date) => MONTHS[date.getMonth()]!.slice(0, 3),
  A: (date) => DAYS[date.getDay()]!,
  a: (date) => DAYS[date.getDay()]!.slice(0, 3),
  w: (date) => String(date.getDay()),
  u: (date) => String(date.getDay() || 7),
  H: (date) => pad(date.getHours(), 2),
  I: (date) => pad(date.getHours() % 12 || 12, 2),
  M: (date) => pad(date.getMinutes(), 2),
  S: (date) => pad(date.getSeconds(), 2),
  f: (date) => pad(date.getMilliseconds() * 1000, 6),
  p: (date) => (date.getHours() < 12 ? "AM" : "PM"),
  j: (date) => pad(dayOfYear(date), 3),
  D: (date) => strftime(date, "%m/%d/%y"),
  F: (date) => strftime(date, "%Y-%m-%d"),
  T: (date) => strftime(date, "%H:%M:%S"),
  R: (date) => strftime(date, "%H:%M"),
  x: (date) => strftime(date, "%m/%d/%y"),
  X: (date) => strftime(date, "%H:%M:%S"),
  c: (date) => strftime(date, "%a %b %e %H:%M:%S %Y"),
  z: () => "", // a Python time without a zone has none
  Z: () => "",
  "%": () => "%",
}

function pad(value: number, width: number): string {
  return String(value).padStart(width, "0")
}

function dayOfYear(date: Date): number {
  return Math.round(
    (Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) - Date.UTC(date.getFullYear(), 0, 0)) / 86_400_000,
  )
}
