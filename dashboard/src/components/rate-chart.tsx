/** Received, readings and invalid per second, for as long as the page has been watching. */
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { rateOf, type Sample } from "../model/rates.js";
import { page } from "../state.js";
import { useStore } from "../store.js";
import { palette, useScheme } from "./palette.js";
import { axes, followWidth } from "./plot.js";

const HEIGHT_PX = 180;
/** The axis grows from one minute to five with what has been seen. */
const SHORTEST_SPAN_S = 60;
const LONGEST_SPAN_S = 300;
const LINES = [
  ["received", "Received", "accent"],
  ["counted", "Counted", "p95"],
  ["invalid", "Invalid", "bad"],
] as const;

export function RateChart() {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>();
  const scheme = useScheme();
  const samples = useStore(page, (state) => state.samples);
  useEffect(() => {
    const made = create(box.current!);
    plot.current = made;
    made.setData(columns(page.get().samples));
    const stop = followWidth(made, box.current!);
    return () => {
      stop();
      made.destroy();
    };
  }, [scheme]);
  useEffect(() => plot.current?.setData(columns(samples)), [samples]);
  return (
    <>
      <div ref={box} class="plot" role="img" aria-label="Readings per second over the last minutes" />
      <p class="map-legend">
        {LINES.map(([name, label, color]) => (
          <span key={name} class={`key line-${color}`}>
            {label}/s
          </span>
        ))}
      </p>
    </>
  );
}

function create(box: HTMLElement): uPlot {
  const colors = palette();
  const options: uPlot.Options = {
    width: Math.max(200, box.clientWidth),
    height: HEIGHT_PX,
    padding: [8, 20, 0, 0],
    legend: { show: false },
    cursor: { drag: { x: false, y: false }, points: { show: false } },
    axes: axes(colors),
    scales: {
      x: { range: (_plot, min, max) => [max - spanS(max - min), max] },
      y: { range: (_plot, _min, max) => [0, Math.max(1, max * 1.1)] },
    },
    series: [
      {},
      ...LINES.map(([, label, color]) => ({
        label,
        stroke: colors[color],
        width: 1.5,
        ...(color === "accent" && { fill: colors.band }),
        points: { show: false },
      })),
    ],
  };
  return new uPlot(options, [[], [], [], []], box);
}

function spanS(seenS: number): number {
  return Math.min(LONGEST_SPAN_S, Math.max(SHORTEST_SPAN_S, seenS));
}

function columns(samples: readonly Sample[]): uPlot.AlignedData {
  const times = samples.map((sample) => sample.now / 1_000);
  const rates = LINES.map(([counter]) => samples.map((_, at) => rateOf(samples, counter, at) ?? null));
  return [times, ...rates];
}
