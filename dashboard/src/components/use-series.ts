/**
 * The rollups of one series on screen: asked for once per interval, then kept up to date by the event stream.
 */
import { useEffect, useRef, useState } from "preact/hooks";
import { api, words } from "../api-client.js";
import { Series } from "../model/series.js";
import { intervalOf, pickResolution, type ResolutionChoice, type TimeView } from "../model/time-range.js";
import { onRollups } from "../session.js";
import { page } from "../state.js";
import { useStore } from "../store.js";
import { NO_RESOLUTIONS } from "./range-picker.js";

export interface SeriesState {
  /** The same object while it is corrected in place; `version` tells. */
  series: Series | undefined;
  version: number;
  resolution: ResolutionChoice | undefined;
  loading: boolean;
  trouble: string | undefined;
}

export interface SeriesKey {
  device: string;
  metric: string;
  view: TimeView;
}

const RETRY_MS = 5_000;

/** `wanted`: false while the chart is out of sight, so that a device with many metrics asks for few at a time. */
export function useSeries({ device, metric, view }: SeriesKey, wanted: boolean): SeriesState {
  const [state, setState] = useState({ version: 0, loading: true, trouble: undefined as string | undefined });
  const series = useRef<Series>();
  const resolutions = useStore(page, (current) => current.info?.resolutions ?? NO_RESOLUTIONS);
  const { span } = view;
  const { from, to } = intervalOf(span, page.get().now);
  const resolution =
    resolutions.length > 0 ? pickResolution(view.resolution, to - from, resolutions) : undefined;
  const spanKey = span.kind === "last" ? span.range : `${span.from}-${span.to}`;

  useEffect(() => {
    if (!wanted || !resolution) return;
    const current = new Series(resolution.sizeMs);
    const abort = new AbortController();
    let retry: ReturnType<typeof setTimeout> | undefined;
    const changed = (patch: Partial<typeof state>) =>
      setState((known) => ({ ...known, ...patch, version: known.version + 1 }));
    const inSpan = (start: number) => span.kind === "last" || (start >= span.from && start < span.to);

    const load = async () => {
      clearTimeout(retry);
      const interval = intervalOf(span, page.get().now);
      // The open window starts before now, and a device's clock may be a little ahead.
      const until = span.kind === "last" ? interval.to + resolution.sizeMs : interval.to;
      try {
        const question = { device, metric, resolution: resolution.name, from: interval.from, to: until };
        const { rollups } = await api.rollups(question, abort.signal);
        current.upsert(rollups);
        series.current = current;
        changed({ loading: false, trouble: undefined });
      } catch (error) {
        if (abort.signal.aborted) return;
        changed({ loading: false, trouble: words(error) });
        retry = setTimeout(() => void load(), RETRY_MS);
      }
    };

    const stop = onRollups((rollups) => {
      if (rollups === undefined) {
        void load();
        return;
      }
      const mine = rollups.filter(
        (row) =>
          row.device === device &&
          row.metric === metric &&
          row.resolution === resolution.name &&
          inSpan(row.start),
      );
      if (mine.length > 0 && current.upsert(mine)) {
        if (span.kind === "last") current.trim(intervalOf(span, page.get().now).from);
        changed({});
      }
    });
    setState((known) => ({ ...known, loading: true }));
    void load();
    return () => {
      stop();
      abort.abort();
      clearTimeout(retry);
    };
  }, [device, metric, resolution?.name, spanKey, wanted]);

  return { ...state, series: series.current, resolution };
}
