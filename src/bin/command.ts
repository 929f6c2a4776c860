/** The command: what src/bin/bin.ts runs. */
import { fileURLToPath } from "node:url"
import { main } from "./main.js"

main(fileURLToPath(import.meta.url))
