/**
 * The notifier's metrics.
 */
import { Counter, Gauge, type Registry } from "../runtime/metrics.js";

export interface NotifierMetrics {
  sent: Counter<"channel">;
  failed: Counter<"channel">;
  dead: Counter<"channel">;
  suppressed: Counter<"why">;
}

export function notifierMetrics(
  registry: Registry,
  channels: readonly string[],
  read: { pending(): number; isActive(): boolean },
): NotifierMetrics {
  const registers = [registry];
  const perChannel = (name: string, help: string) => {
    const counter = new Counter({ name, help, labelNames: ["channel"] as const, registers });
    for (const channel of channels) counter.inc({ channel }, 0);
    return counter;
  };
  new Gauge({
    name: "sluice_notifications_pending",
    help: "Notifications decided on that are not known to have arrived",
    registers,
    collect() {
      this.set(read.pending());
    },
  });
  new Gauge({
    name: "sluice_notifier_active",
    help: "1 when this process is the one that notifies, 0 while it stands by",
    registers,
    collect() {
      this.set(read.isActive() ? 1 : 0);
    },
  });
  return {
    sent: perChannel("sluice_notifications_sent_total", "Notifications that a channel has accepted"),
    failed: perChannel("sluice_notifications_failed_total", "Attempts that failed"),
    dead: perChannel(
      "sluice_notifications_dead_total",
      "Notifications given up and handed to the dead letters",
    ),
    suppressed: new Counter({
      name: "sluice_notifications_suppressed_total",
      help: "Alerts kept back, by reason",
      labelNames: ["why"],
      registers,
    }),
  };
}
