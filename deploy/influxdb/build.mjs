/** Builds InfluxDB into the cache and does nothing else; prints the path of the program. */
import { main } from "../lib/cli.mjs";
import { UsageError } from "../lib/errors.mjs";
import { installInfluxd } from "./influxd.mjs";

const usage = `usage: deploy/influxdb/build
  Builds InfluxDB from source, once; prints the path of the program. Needs go, cargo, gcc and pkg-config.
  The result is kept in ~/.cache/sluice, or in SLUICE_CACHE_DIR.`;

await main({ usage }, async (_flags, positionals) => {
  if (positionals.length > 0) throw new UsageError(`unexpected argument "${positionals[0]}"`);
  process.stdout.write(`${await installInfluxd()}\n`);
});
