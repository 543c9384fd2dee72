/** Formats of strings, as regular expressions over the string's own characters. All are matched whole. */
const DAYS = "(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])" +
  "|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|02-(?:0[1-9]|1\\d|2[0-8]))"
// Years by 4, but for those by 100, unless by 400.
const LEAP_YEAR = "(?:\\d\\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)"
const DATE = `(?:\\d{4}-${DAYS}|${LEAP_YEAR}-02-29)`
const CLOCK = "(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?"
const OFFSET = "(?:[Zz]|[+-](?:[01]\\d|2[0-3]):[0-5]\\d)"

const HOURS = "T(?:\\d+H(?:\\d+M(?:\\d+S)?)?|\\d+M(?:\\d+S)?|\\d+S)"

const LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
const SHORT_LABEL = LABEL.replace("*", "{0,61}")
const HOST_NAME = `${SHORT_LABEL}(?:\\.${SHORT_LABEL})*`
const ATOM = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"

const BYTE = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)"
const IPV4 = `${BYTE}(?:\\.${BYTE}){3}`
const IPV6 = ipv6()

/** All ways to write 8 groups with at most one "::". */
function ipv6(): string {
  const group = "[0-9A-Fa-f]{1,4}"
  const last = `(?:${group}:${group}|${IPV4})`
  const full = `(?:${group}:){6}${last}`
  const ways = [full]
  for (let before = 0; before <= 7; before++) {
    const head = before === 0 ? "" : `${group}(?::${group}){${before - 1}}`
    for (let after = 0; after <= 7 - before; after++) {
      if (after === 0) ways.push(`${head}::`)
      else if (after === 1) ways.push(`${head}::${group}`)
      else ways.push(`${head}::(?:${group}:){${after - 2}}${last}`)
    }
  }
  return `(?:${ways.join("|")})`
}

const PERCENT = "%[0-9A-Fa-f]{2}"
const UNRESERVED = "A-Za-z0-9._~\\-"
const SUB_DELIMITERS = "!$&'()*+,;="
const PATH_CHAR = `(?:[${UNRESERVED}${SUB_DELIMITERS}:@]|${PERCENT})`
const SEGMENTS = `(?:/${PATH_CHAR}*)*`
const QUERY = `(?:\\?(?:${PATH_CHAR}|[/?])*)?`
const FRAGMENT = `(?:#(?:${PATH_CHAR}|[/?])*)?`
const USER = `(?:(?:[${UNRESERVED}${SUB_DELIMITERS}:]|${PERCENT})*@)?`
const HOST = `(?:\\[${IPV6}\\]|(?:[${UNRESERVED}${SUB_DELIMITERS}]|${PERCENT})*)`
const AUTHORITY = `//${USER}${HOST}(?::\\d*)?${SEGMENTS}`
const ABSOLUTE_PATH = `/(?:${PATH_CHAR}+${SEGMENTS})?`
const ROOTLESS_PATH = `${PATH_CHAR}+${SEGMENTS}`
const NO_SCHEME_PATH = `(?:[${UNRESERVED}${SUB_DELIMITERS}@]|${PERCENT})+${SEGMENTS}`
const URI = `[A-Za-z][A-Za-z0-9+.-]*:(?:${AUTHORITY}|${ABSOLUTE_PATH}|${ROOTLESS_PATH})${QUERY}${FRAGMENT}`
const RELATIVE = `(?:${AUTHORITY}|${ABSOLUTE_PATH}|${NO_SCHEME_PATH})?${QUERY}${FRAGMENT}`

const POINTER = "(?:/(?:[^~/]|~[01])*)*"

export const STRING_FORMATS: Readonly<Record<string, string>> = {
  date: DATE,
  time: `${CLOCK}${OFFSET}`,
  "date-time": `${DATE}[Tt]${CLOCK}${OFFSET}`,
  duration: `P(?:\\d+W|(?:\\d+Y(?:\\d+M(?:\\d+D)?)?|\\d+M(?:\\d+D)?|\\d+D)(?:${HOURS})?|${HOURS})`,
  // A host without a dot is one that most validators refuse.
  email: `${ATOM}(?:\\.${ATOM})*@${LABEL}(?:\\.${LABEL})+`,
  hostname: HOST_NAME,
  ipv4: IPV4,
  ipv6: IPV6,
  uuid: "[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}",
  uri: URI,
  "uri-reference": `(?:${URI}|${RELATIVE})`,
  "json-pointer": POINTER,
  "relative-json-pointer": `(?:0|[1-9]\\d*)(?:#|${POINTER})`,
}

/** Names that tell readers how a string is used and leave its text free (OpenAPI's). */
export const FREE_FORMATS: ReadonlySet<string> = new Set(["binary", "byte", "password", "textarea", "markdown"])
