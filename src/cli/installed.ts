/** Where this package is installed: what ships with it lies there. */
import { fileURLToPath } from "node:url"

export const installed = fileURLToPath(new URL("..", import.meta.url))
