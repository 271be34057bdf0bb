// Compiles everything into dist/: the program and its tests with tsc, the live page with esbuild.
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const tsc = spawnSync(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", root], {
  stdio: "inherit",
});
if (tsc.status !== 0) process.exit(tsc.status ?? 1);

const page = join(root, "dashboard/build.mjs");
if (existsSync(page)) await import(page);
chmodSync(join(root, "dist/cli/main.js"), 0o755);
