// Writes docs/configuration.md from the schema. Needs `npm run build`.
import { writeFileSync } from "node:fs";
import { configurationReference } from "../dist/runtime/config/reference.js";

writeFileSync(new URL("../docs/configuration.md", import.meta.url), configurationReference());
