/** The folder that holds package.json, seen from the compiled file in dist/cli. */
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

export const packageRoot = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
