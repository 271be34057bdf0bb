// Builds the live page into dist/dashboard. Part of `npm run build`.
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { bundlePage } from "./bundle.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
await bundlePage(join(root, "dist/dashboard"));
