/** Makes the tables in a QuestDB that is already running somewhere. */
import { main } from "../lib/cli.mjs";
import { UsageError } from "../lib/errors.mjs";
import { createTables } from "./schema.mjs";

const usage = `usage: deploy/questdb/tables URL
  URL  of QuestDB's HTTP port, for example http://127.0.0.1:9000`;

await main({ usage }, async (_flags, [url, ...rest]) => {
  if (!url || rest.length > 0) throw new UsageError("the URL of QuestDB is needed");
  process.stdout.write(`${(await createTables(url)).join("\n")}\n`);
});
