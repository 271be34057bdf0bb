import { runDown } from "../lib/down.mjs";

await runDown("questdb");
