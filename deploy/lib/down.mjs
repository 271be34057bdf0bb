/** The `down` command, the same for every server. */
import { main, progress, requireDir } from "./cli.mjs";
import { UsageError } from "./errors.mjs";
import { bringDown } from "./server.mjs";

/** @param {string} server */
export function runDown(server) {
  const usage = `usage: deploy/${server}/down DIR | --dir DIR
  Stops the server of that folder. A temporary folder is removed; one given to up with --dir keeps its data.`;
  return main({ usage, options: { dir: { type: "string" } } }, async (flags, [positional, ...rest]) => {
    if (rest.length > 0) throw new UsageError(`unexpected argument "${rest[0]}"`);
    const dir = requireDir(flags.dir, positional);
    await bringDown(server, dir);
    progress(`stopped ${server} in ${dir}`);
  });
}
