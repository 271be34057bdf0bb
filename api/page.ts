/**
 * Serves the live page: `/` and the files under `/assets/`, and nothing else of its directory.
 */
import fastifyStatic from "@fastify/static";
import type { FastifyInstance } from "fastify";

const SERVED = /^\/(index\.html|favicon\.svg|assets\/[\w.-]+)?$/;

export async function servePage(app: FastifyInstance, pageDir: string): Promise<void> {
  await app.register(fastifyStatic, {
    root: pageDir,
    index: "index.html",
    dotfiles: "ignore",
    cacheControl: false,
    allowedPath: (path) => SERVED.test(path),
    setHeaders: (response, path) => {
      // Asset names carry a hash of their content; the page that names them must always be asked for.
      const immutable = /[\\/]assets[\\/]/.test(path);
      response.setHeader("cache-control", immutable ? "public, max-age=31536000, immutable" : "no-cache");
    },
  });
}
