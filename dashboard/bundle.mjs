// Bundles the live page into a directory: index.html and hashed files under assets/, with no outside reference.
import { copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));

/** Builds the page into `outDir`; whatever an earlier build left there under assets/ is removed. */
export async function bundlePage(outDir) {
  await rm(join(outDir, "assets"), { recursive: true, force: true });
  await mkdir(outDir, { recursive: true });
  const { metafile } = await build({
    entryPoints: { app: join(here, "src/main.tsx"), style: join(here, "src/styles/main.css") },
    outdir: outDir,
    entryNames: "assets/[name]-[hash]",
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    metafile: true,
    tsconfig: join(here, "../tsconfig.json"),
    define: { "process.env.NODE_ENV": '"production"' },
    logLevel: "warning",
  });
  const names = Object.keys(metafile.outputs).map((path) => basename(path));
  const nameOf = (prefix, suffix) => {
    const name = names.find((each) => each.startsWith(prefix) && each.endsWith(suffix));
    if (name === undefined) throw new Error(`the bundle has no ${prefix}*${suffix}`);
    return `/assets/${name}`;
  };
  const template = await readFile(join(here, "index.html"), "utf8");
  const html = template
    .replace("%STYLE%", nameOf("style-", ".css"))
    .replace("%SCRIPT%", nameOf("app-", ".js"));
  await writeFile(join(outDir, "index.html"), html);
  await copyFile(join(here, "favicon.svg"), join(outDir, "favicon.svg"));
}
