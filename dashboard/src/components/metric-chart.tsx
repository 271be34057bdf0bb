/** The chart of one series: min–max band, mean, p95 when wanted, alert episodes shaded. Dragging zooms. */
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import type { ApiAlert } from "../../../api/schemas.js";
import type { Series } from "../model/series.js";
import { intervalOf, type TimeView } from "../model/time-range.js";
import { page } from "../state.js";
import { useStore } from "../store.js";
import { shadeAlerts } from "./alert-shading.js";
import { type Palette, palette, useScheme } from "./palette.js";
import { axes, followWidth, loners } from "./plot.js";

export interface MetricChartProps {
  series: Series;
  version: number;
  view: TimeView;
  showP95: boolean;
  alerts: readonly ApiAlert[];
  label: string;
  onZoom: (from: number, to: number) => void;
  /** Start of the window under the cursor, or undefined. */
  onHover: (start: number | undefined) => void;
}

const HEIGHT_PX = 190;
const SMALLEST_DRAG_PX = 8;

export function MetricChart(props: MetricChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>();
  const scheme = useScheme();
  // The chart is made once and reads what it shows from here.
  const latest = useRef(props);
  latest.current = props;
  const now = useStore(page, (state) => state.now);
  useEffect(() => {
    const made = create(box.current!, latest);
    plot.current = made;
    made.setData(latest.current.series.columns() as uPlot.AlignedData);
    const stop = followWidth(made, box.current!);
    return () => {
      stop();
      made.destroy();
    };
  }, [scheme]);
  useEffect(() => {
    plot.current?.setData(props.series.columns() as uPlot.AlignedData);
  }, [props.series, props.version]);
  useEffect(() => {
    plot.current?.setSeries(P95, { show: props.showP95 });
  }, [props.showP95, scheme]);
  useEffect(() => plot.current?.redraw(false, true), [props.alerts]);
  useEffect(() => {
    const { from, to } = intervalOf(props.view.span, now);
    plot.current?.setScale("x", { min: from / 1_000, max: to / 1_000 });
  }, [props.view.span, now]);
  return <div ref={box} class="plot" role="img" aria-label={`Chart of ${props.label}`} />;
}

const MIN = 1;
const MAX = 2;
const MEAN = 3;
const P95 = 4;

function create(box: HTMLElement, latest: { current: MetricChartProps }): uPlot {
  const colors = palette();
  const interval = () => {
    const { from, to } = intervalOf(latest.current.view.span, page.get().now);
    return [from / 1_000, to / 1_000] as [number, number];
  };
  const options: uPlot.Options = {
    width: Math.max(200, box.clientWidth),
    height: HEIGHT_PX,
    padding: [8, 20, 0, 0],
    legend: { show: false },
    cursor: {
      drag: { x: true, y: false, setScale: false },
      focus: { prox: -1 },
      sync: { key: "device" },
      points: { size: 7 },
    },
    scales: { x: { range: interval }, y: { range: padded } },
    axes: axes(colors),
    series: lines(colors, latest.current.showP95),
    bands: [{ series: [MAX, MIN], fill: colors.band }],
    hooks: {
      drawAxes: [(plot) => shadeAlerts(plot, latest.current.alerts, colors)],
      setCursor: [(plot) => latest.current.onHover(windowAt(plot))],
      setSelect: [(plot) => zoom(plot, latest.current.onZoom)],
    },
  };
  return new uPlot(options, [[], [], [], [], []], box);
}

function lines(colors: Palette, showP95: boolean): uPlot.Series[] {
  const edge = { stroke: colors.band, width: 1, points: { show: false } };
  const points = { size: 4, filter: loners } as uPlot.Series.Points;
  return [
    {},
    { ...edge, label: "min" },
    { ...edge, label: "max" },
    { label: "mean", stroke: colors.accent, width: 1.75, points },
    { label: "p95", stroke: colors.p95, width: 1.25, dash: [5, 4], show: showP95, points: { show: false } },
  ];
}

/** A flat line gets room around it; everything else a tenth. */
function padded(_plot: uPlot, min: number | null, max: number | null): [number, number] {
  if (min === null || max === null) return [0, 1];
  const room = max > min ? (max - min) * 0.1 : Math.max(1, Math.abs(max) * 0.1);
  return [min - room, max + room];
}

function windowAt(plot: uPlot): number | undefined {
  const { idx } = plot.cursor;
  const seconds = idx == null ? undefined : plot.data[0][idx];
  return seconds === undefined || plot.data[MEAN]![idx!] == null ? undefined : Math.round(seconds * 1_000);
}

function zoom(plot: uPlot, onZoom: MetricChartProps["onZoom"]): void {
  const { left, width } = plot.select;
  if (width < SMALLEST_DRAG_PX) return;
  const from = Math.round(plot.posToVal(left, "x") * 1_000);
  const to = Math.round(plot.posToVal(left + width, "x") * 1_000);
  plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  onZoom(from, to);
}
