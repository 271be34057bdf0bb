/** Every device as one cell coloured by its state; a cell says which it is and leads to it. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { formatCount } from "../format.js";
import { firingDevices } from "../model/alerts.js";
import { type DeviceState, stateOf } from "../model/fleet.js";
import { DEFAULT_VIEW } from "../model/time-range.js";
import { navigate } from "../session.js";
import { page } from "../state.js";
import { useStore } from "../store.js";
import { palette, useScheme } from "./palette.js";

const LARGEST_CELL_PX = 22;
const SMALLEST_CELL_PX = 4;
const MAP_HEIGHT_PX = 220;
/** Time alone makes devices silent; that need not be seen at once. */
const STATES_EVERY_MS = 5_000;

type Cell = "online" | "silent" | "warning" | "critical";

function cellOf(state: DeviceState, severity: string | undefined): Cell {
  if (state !== "alerting") return state;
  return severity === "critical" ? "critical" : "warning";
}

interface Grid {
  cellPx: number;
  columns: number;
  rows: number;
}

export function FleetMap() {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(0);
  const [hover, setHover] = useState<string>();
  const scheme = useScheme();
  const fleet = useStore(page, (state) => state.fleet);
  const alerts = useStore(page, (state) => state.alerts);
  const now = useStore(page, (state) => Math.floor(state.now / STATES_EVERY_MS) * STATES_EVERY_MS);
  const firing = useMemo(() => firingDevices(alerts), [alerts]);
  const grid = gridFor(fleet.ids.length, width);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry!.contentRect.width)));
    observer.observe(canvas.current!.parentElement!);
    return () => observer.disconnect();
  }, []);
  const cells = useMemo(
    () => fleet.ids.map((id) => cellOf(stateOf(fleet.byId.get(id)!, now, firing), firing.get(id))),
    [fleet, now, firing],
  );
  // Most commits change values and no state: then there is nothing to draw.
  const drawn = cells.join();
  useEffect(() => draw(canvas.current!, grid, cells), [drawn, width, scheme]);
  const at = (event: MouseEvent) => {
    const column = Math.floor(event.offsetX / grid.cellPx);
    const index = Math.floor(event.offsetY / grid.cellPx) * grid.columns + column;
    return column < grid.columns ? fleet.ids[index] : undefined;
  };
  const count = (...kinds: Cell[]) => formatCount(cells.filter((each) => kinds.includes(each)).length);
  const summary = `${count("online")} online, ${count("silent")} silent, ${count("critical", "warning")} alerting`;
  return (
    <div class="map">
      <canvas
        ref={canvas}
        role="img"
        aria-label={`Map of the fleet: ${summary}`}
        data-testid="fleet-map"
        onMouseMove={(event) => setHover(at(event))}
        onMouseLeave={() => setHover(undefined)}
        onClick={(event) => {
          const device = at(event);
          if (device) navigate({ page: "device", device, view: DEFAULT_VIEW, p95: false });
        }}
      />
      <p class="map-legend">
        <span class="key online">{count("online")} online</span>
        <span class="key silent">{count("silent")} silent</span>
        <span class="key warning">{count("warning")} with a warning</span>
        <span class="key critical">{count("critical")} critical</span>
        <span class="map-hover">{hover}</span>
      </p>
    </div>
  );
}

/** The largest cells with which all devices fit the space; the map grows down when even small ones do not. */
function gridFor(count: number, width: number): Grid {
  let cellPx = LARGEST_CELL_PX;
  const columnsOf = () => Math.max(1, Math.floor(width / cellPx));
  while (cellPx > SMALLEST_CELL_PX && Math.ceil(count / columnsOf()) * cellPx > MAP_HEIGHT_PX) cellPx--;
  return { cellPx, columns: columnsOf(), rows: Math.ceil(count / columnsOf()) };
}

function draw(canvas: HTMLCanvasElement, grid: Grid, cells: readonly Cell[]): void {
  const { cellPx, columns, rows } = grid;
  const ratio = devicePixelRatio;
  const width = columns * cellPx;
  const height = Math.max(1, rows) * cellPx;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d")!;
  context.scale(ratio, ratio);
  const colors = palette();
  const fills: Record<Cell, string> = {
    online: colors.cell,
    silent: colors.idle,
    warning: colors["cell-warn"],
    critical: colors.bad,
  };
  const sizePx = cellPx - (cellPx > 10 ? 3 : 1);
  // One path per state: ten thousand single fills would take ten times as long.
  const paths = new Map<Cell, Path2D>();
  cells.forEach((cell, index) => {
    const path = paths.get(cell) ?? new Path2D();
    paths.set(cell, path);
    const x = (index % columns) * cellPx;
    const y = Math.floor(index / columns) * cellPx;
    if (cellPx > 10) path.roundRect(x, y, sizePx, sizePx, 4);
    else path.rect(x, y, sizePx, sizePx);
  });
  for (const [cell, path] of paths) {
    context.fillStyle = fills[cell];
    context.fill(path);
  }
}
