/** Makes the tables of schema.sql in a running QuestDB; those that exist are left as they are. */
import { readFile } from "node:fs/promises";
import { DeployError } from "../lib/errors.mjs";

const file = new URL("./schema.sql", import.meta.url);

/**
 * @param {string} url
 * @returns {Promise<string[]>} the names of the tables
 */
export async function createTables(url) {
  const text = await readFile(file, "utf8");
  const statements = text.replaceAll(/--.*$/gm, "").split(";");
  const tables = [];
  for (const statement of statements.map((part) => part.trim()).filter(Boolean)) {
    const response = await execute(url, statement);
    if (!response.ok)
      throw new DeployError(`QuestDB refused a table: ${await response.text()}\n${statement}`);
    tables.push(/** @type {string} */ (/EXISTS (\w+)/.exec(statement)?.[1]));
  }
  return tables;
}

/** @param {string} url @param {string} query */
async function execute(url, query) {
  try {
    return await fetch(`${url}/exec?${new URLSearchParams({ query })}`);
  } catch (error) {
    const { cause, message } = /** @type {Error & {cause?: Error}} */ (error);
    throw new DeployError(`no QuestDB answers at ${url}: ${cause?.message ?? message}`);
  }
}
