/** A value against the band that was expected, on one line. */
import { formatValue } from "../format.js";

export interface BandGaugeProps {
  lower: number;
  upper: number;
  expected?: number | undefined;
  value: number;
}

const WIDTH = 100;

export function BandGauge({ lower, upper, expected, value }: BandGaugeProps) {
  const low = Math.min(lower, value, expected ?? value);
  const high = Math.max(upper, value, expected ?? value);
  const room = (high - low) * 0.06 || 1;
  const x = (at: number) => ((at - low + room) / (high - low + 2 * room)) * WIDTH;
  return (
    <span class="gauge">
      <svg
        viewBox={`0 0 ${WIDTH} 10`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`${formatValue(value)} where ${formatValue(lower)} to ${formatValue(upper)} was expected`}
      >
        <rect class="gauge-track" x="0" y="4" width={WIDTH} height="2" rx="1" />
        <rect
          class="gauge-band"
          x={x(lower)}
          y="2.5"
          width={Math.max(1, x(upper) - x(lower))}
          height="5"
          rx="1"
        />
        {expected !== undefined && (
          <rect class="gauge-expected" x={x(expected) - 0.3} y="2" width="0.6" height="6" />
        )}
        <rect class="gauge-value" x={x(value) - 0.7} y="0" width="1.4" height="10" rx="0.7" />
      </svg>
    </span>
  );
}
