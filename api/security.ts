/**
 * Headers that keep a browser from doing with our answers what we did not mean.
 */
import type { FastifyInstance } from "fastify";

const HEADERS = {
  "content-security-policy": [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "manifest-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; "),
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
} as const;

/** The headers as they are set on every answer, also on the stream's, which writes its own head. */
export const SECURE_HEADERS: Readonly<Record<string, string>> = HEADERS;

export function addSecureHeaders(app: FastifyInstance): void {
  app.addHook("onRequest", async (_request, reply) => {
    reply.headers(HEADERS);
  });
  // Answers are live; the page's files have set their own caching by now.
  app.addHook("onSend", async (_request, reply) => {
    if (!reply.raw.hasHeader("cache-control") && !reply.hasHeader("cache-control")) {
      reply.header("cache-control", "no-store");
    }
  });
}
