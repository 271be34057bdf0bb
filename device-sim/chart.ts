/**
 * Small line charts as SVG text, for a page that asks nothing of the network. Colours come from the page's style, so
 * that they follow its light or dark scheme.
 */

/** One line; a point without `y` leaves a gap. */
export interface Line {
  name: string;
  points: readonly { x: number; y: number | undefined }[];
}

export interface ChartOptions {
  title: string;
  lines: readonly Line[];
  /** How the values of an axis are written. */
  xLabel: (x: number) => string;
  yLabel: (y: number) => string;
  /** Values of x that get a mark. Default: five, evenly. */
  xMarks?: readonly number[];
  /** A logarithmic y axis. */
  logY?: boolean;
}

const WIDTH = 720;
const HEIGHT = 220;
const LEFT = 64;
const RIGHT = 30;
const TOP = 10;
const BOTTOM = 26;

/** The chart, with its title and legend as HTML around it. */
export function chart(options: ChartOptions): string {
  const { title, lines, xLabel, yLabel, logY = false } = options;
  const points = lines.flatMap((line) => line.points);
  const ys = points.flatMap(({ y }) => (y === undefined ? [] : [y]));
  if (ys.length === 0)
    return `<figure><figcaption>${escapeHtml(title)}: nothing to show</figcaption></figure>`;
  const [fromX, toX] = [Math.min(...points.map(({ x }) => x)), Math.max(...points.map(({ x }) => x))];
  const marksY = logY ? decades(Math.min(...ys), Math.max(...ys)) : evenMarks(Math.max(...ys));
  const scale = logY ? (y: number) => Math.log10(Math.max(y, marksY[0]!)) : (y: number) => y;
  const [fromY, toY] = [scale(marksY[0]!), scale(marksY.at(-1)!)];
  const px = (x: number) => LEFT + ((WIDTH - LEFT - RIGHT) * (x - fromX)) / (toX - fromX || 1);
  const py = (y: number) =>
    HEIGHT - BOTTOM - ((HEIGHT - TOP - BOTTOM) * (scale(y) - fromY)) / (toY - fromY || 1);
  const marksX = options.xMarks ?? [0, 0.25, 0.5, 0.75, 1].map((part) => fromX + part * (toX - fromX));
  const grid = [
    ...marksY.map(
      (y) =>
        `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at(py(y))}" y2="${at(py(y))}"/>` +
        `<text x="${LEFT - 6}" y="${at(py(y) + 4)}" text-anchor="end">${escapeHtml(yLabel(y))}</text>`,
    ),
    ...marksX.map(
      (x) => `<text x="${at(px(x))}" y="${HEIGHT - 8}" text-anchor="middle">${escapeHtml(xLabel(x))}</text>`,
    ),
  ];
  const paths = lines.map((line, i) => `<path class="line s${i}" d="${path(line, px, py)}"/>`);
  const legend = lines.map(({ name }, i) => `<span class="key s${i}">${escapeHtml(name)}</span>`).join(" ");
  return [
    `<figure><figcaption>${escapeHtml(title)} ${legend}</figcaption>`,
    `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeHtml(title)}">`,
    ...grid,
    ...paths,
    "</svg></figure>",
  ].join("\n");
}

function path(line: Line, px: (x: number) => number, py: (y: number) => number): string {
  let pen = "M";
  let d = "";
  for (const { x, y } of line.points) {
    if (y === undefined) {
      pen = "M";
      continue;
    }
    // The line back to where it is shows a point that has no neighbours.
    d += `${pen}${at(px(x))} ${at(py(y))}${pen === "M" ? "h0" : ""}`;
    pen = "L";
  }
  return d;
}

function at(pixels: number): string {
  return pixels.toFixed(1);
}

/** Round values from 0 to at least `max`. */
function evenMarks(max: number): number[] {
  const rough = (max || 1) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough)!;
  return [0, 1, 2, 3, 4].map((i) => i * step);
}

/** Powers of ten around the values. */
function decades(min: number, max: number): number[] {
  const from = Math.floor(Math.log10(Math.max(min, 0.01)));
  const to = Math.max(from + 1, Math.ceil(Math.log10(Math.max(max, 0.01))));
  return Array.from({ length: to - from + 1 }, (_, i) => 10 ** (from + i));
}

/** Text as it may stand in an element or in a quoted attribute. */
export function escapeHtml(text: string): string {
  const names: Record<string, string> = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "'": "&#39;",
  };
  return text.replace(/[&<>"']/g, (character) => names[character]!);
}
