/**
 * A link through mqtt.js: how most devices and their users speak.
 *
 * mqtt.js decides nothing about re-sending: each link is a new client object with a clean session, no reconnecting and
 * no offline queue, so nothing of one connection can leak into the next.
 */
import { Socket } from "node:net";
import { connect } from "mqtt";
import type { Link, LinkEvents, LinkOptions } from "./link.js";

export function openMqttJsLink(options: LinkOptions, events: LinkEvents): Link {
  const client = connect(options.url, {
    clientId: options.clientId,
    clean: true,
    reconnectPeriod: 0,
    resubscribe: false,
    queueQoSZero: false,
    connectTimeout: options.connectTimeoutMs,
    keepalive: options.keepaliveS,
    protocolVersion: 4,
  });
  client.on("connect", () => {
    // Small packets must not wait for the ack of the one before (Nagle), or latency would be TCP's, not the gateway's.
    if (client.stream instanceof Socket) client.stream.setNoDelay(true);
    events.up();
  });
  client.on("error", (error) => {
    events.error(error);
    client.end(true);
  });
  client.on("close", () => events.down());
  return {
    publish: (topic, payload, qos, settled) => client.publish(topic, payload, { qos }, settled),
    end: (force) => client.end(force),
    destroy: () => client.stream.destroy(),
  };
}
