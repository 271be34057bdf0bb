/**
 * The folder of the checkout, for tests that need files of it: the same for compiled tests in dist/.
 */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const repoRoot = rootAbove(dirname(fileURLToPath(import.meta.url)));

/** The nearest folder with a package.json: dist/ has none. */
function rootAbove(folder: string): string {
  if (existsSync(join(folder, "package.json"))) return folder;
  if (dirname(folder) === folder) throw new Error("no package.json above this module");
  return rootAbove(dirname(folder));
}
