// Makes the pictures of docs/images: a real Sluice with a simulated fleet, seen in Chromium. Needs `npm run build`.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const cli = join(root, "dist/cli/main.js");
const dataDir = mkdtempSync(join(tmpdir(), "sluice-screenshots-"));
const up = spawn(
  process.execPath,
  [cli, "up", "--data-dir", dataDir, "--mqtt-port", "0", "--http-port", "0"],
  {
    stdio: ["ignore", "pipe", "ignore"],
  },
);

try {
  const { mqtt, http } = await addresses(up);
  const fleet = ["sim", "--data-dir", dataDir, "--url", mqtt, "--api", http, "--prefix", "site-"];
  // An hour of history in a moment, then live readings while the pictures are taken.
  await run([
    ...fleet,
    "--devices",
    "24",
    "--rate",
    "0",
    "--duration",
    "1h",
    "--step",
    "5",
    "--anomalies",
    "6",
    "--malformed",
    "0.001",
  ]);
  const live = run([...fleet, "--devices", "24", "--rate", "1", "--duration", "40", "--seed", "1"]);
  await pictures(http);
  await live;
} finally {
  up.kill("SIGTERM");
  await new Promise((resolve) => up.once("close", resolve));
  rmSync(dataDir, { recursive: true, force: true });
}

function addresses(process) {
  return new Promise((resolve, reject) => {
    let text = "";
    process.stdout.on("data", (chunk) => {
      text += chunk;
      const mqtt = /mqtt:\/\/\S+/.exec(text)?.[0];
      const http = /http:\/\/[^/\s]+/.exec(text)?.[0];
      if (mqtt && http) resolve({ mqtt, http });
    });
    process.once("close", (code) => reject(new Error(`sluice up ended with ${code}`)));
  });
}

function run(args) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [cli, ...args], { stdio: ["ignore", "ignore", "inherit"] });
    child.once("close", (code) =>
      code === 0 ? resolve() : reject(new Error(`sluice ${args[0]} ended with ${code}`)),
    );
  });
}

async function pictures(http) {
  const browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
  try {
    for (const [name, colorScheme, path] of [
      ["fleet", "light", "/"],
      ["device-dark", "dark", "/#/device/site-00000"],
    ]) {
      const page = await browser.newPage({ colorScheme, viewport: { width: 1280, height: 800 } });
      await page.goto(http + path);
      await page.waitForTimeout(6_000);
      await page.screenshot({ path: join(root, "docs/images", `${name}.png`) });
      await page.close();
    }
  } finally {
    await browser.close();
  }
}
