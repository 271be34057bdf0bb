/** Draws the episodes of alerts behind a chart: shaded, with the band that was expected. */
import type uPlot from "uplot";
import type { ApiAlert } from "../../../api/schemas.js";
import { page } from "../state.js";
import type { Palette } from "./palette.js";

const SHADE = 0.14;

export function shadeAlerts(plot: uPlot, alerts: readonly ApiAlert[], colors: Palette): void {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  for (const alert of alerts) {
    const color = alert.severity === "critical" ? colors.bad : colors.warn;
    const left = plot.valToPos(alert.startedAt / 1_000, "x", true);
    const end = alert.resolvedAt ?? page.get().now;
    // An episode of one reading would be invisible.
    const right = Math.max(left + 3, plot.valToPos(end / 1_000, "x", true));
    if (right < bbox.left || left > bbox.left + bbox.width) continue;
    ctx.globalAlpha = SHADE;
    ctx.fillStyle = color;
    ctx.fillRect(left, bbox.top, right - left, bbox.height);
    ctx.globalAlpha = 0.9;
    ctx.fillRect(left, bbox.top, 1.5 * devicePixelRatio, bbox.height);
    for (const bound of [alert.lower, alert.upper]) {
      if (bound !== undefined) dashes(plot, bound, left, right, color);
    }
  }
  ctx.restore();
}

function dashes(plot: uPlot, value: number, left: number, right: number, color: string): void {
  const { ctx } = plot;
  const y = plot.valToPos(value, "y", true);
  ctx.globalAlpha = 0.7;
  ctx.strokeStyle = color;
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
  ctx.beginPath();
  ctx.moveTo(left, y);
  ctx.lineTo(right, y);
  ctx.stroke();
}
