/** Line plots as SVG, on logarithmic axes: lines of slope 1 are linear costs. */

export interface Series {
  readonly name: string
  /** Positive. */
  readonly points: readonly (readonly [x: number, y: number])[]
}

export interface Plot {
  readonly title: string
  readonly xLabel: string
  readonly yLabel: string
  readonly series: readonly Series[]
}

const WIDTH = 640
const HEIGHT = 400
const MARGIN = { left: 70, right: 20, top: 40, bottom: 50 }
const COLORS = ["#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e"]

interface Axis {
  readonly least: number
  readonly most: number
  at(value: number): number
}

export function plotSvg({ title, xLabel, yLabel, series }: Plot): string {
  const points = series.flatMap((one) => one.points)
  const x = axis(points.map(([value]) => value), MARGIN.left, WIDTH - MARGIN.right)
  const y = axis(points.map(([, value]) => value), HEIGHT - MARGIN.bottom, MARGIN.top)
  const middle = (MARGIN.left + WIDTH - MARGIN.right) / 2
  const lines = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="white"/>`,
    label(middle, 24, title, 'text-anchor="middle" font-size="15"'),
    label(middle, HEIGHT - 12, xLabel, 'text-anchor="middle"'),
    label(0, 0, yLabel, `text-anchor="middle" transform="translate(16 ${HEIGHT / 2}) rotate(-90)"`),
    ...powers(x).flatMap((value) => [
      grid(x.at(value), MARGIN.top, x.at(value), HEIGHT - MARGIN.bottom),
      label(x.at(value), HEIGHT - MARGIN.bottom + 18, short(value), 'text-anchor="middle"'),
    ]),
    ...powers(y).flatMap((value) => [
      grid(MARGIN.left, y.at(value), WIDTH - MARGIN.right, y.at(value)),
      label(MARGIN.left - 8, y.at(value) + 4, short(value), 'text-anchor="end"'),
    ]),
    ...series.flatMap((one, i) => drawSeries(one, i, x, y)),
    "</svg>",
  ]
  return `${lines.join("\n")}\n`
}

function drawSeries({ name, points }: Series, index: number, x: Axis, y: Axis): string[] {
  const color = COLORS[index % COLORS.length]!
  const at = points.map(([px, py]) => `${x.at(px).toFixed(1)},${y.at(py).toFixed(1)}`)
  return [
    `<polyline fill="none" stroke="${color}" stroke-width="2" points="${at.join(" ")}"/>`,
    ...at.map((point) => `<circle cx="${point.split(",")[0]}" cy="${point.split(",")[1]}" r="3" fill="${color}"/>`),
    label(MARGIN.left + 10, MARGIN.top + 16 + index * 16, name, `fill="${color}"`),
  ]
}

/** From the power of ten below all values to the one above them. */
function axis(values: readonly number[], from: number, to: number): Axis {
  const least = Math.floor(Math.log10(Math.min(...values)))
  const most = Math.max(least + 1, Math.ceil(Math.log10(Math.max(...values))))
  return { least, most, at: (value) => from + ((Math.log10(value) - least) / (most - least)) * (to - from) }
}

function powers({ least, most }: Axis): number[] {
  return Array.from({ length: most - least + 1 }, (_, i) => 10 ** (least + i))
}

function short(value: number): string {
  return value >= 10_000 ? value.toExponential(0).replace("+", "") : String(Number(value.toPrecision(3)))
}

function grid(x1: number, y1: number, x2: number, y2: number): string {
  const [a, b, c, d] = [x1, y1, x2, y2].map((value) => value.toFixed(1))
  return `<line x1="${a}" y1="${b}" x2="${c}" y2="${d}" stroke="#ddd"/>`
}

function label(x: number, y: number, text: string, attributes: string): string {
  const escaped = text.replace(/[&<>]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[c]!)
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${attributes}>${escaped}</text>`
}
