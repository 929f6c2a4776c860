/** The public API; `sandboxer/node` has the live layers, `sandboxer/testing` those for tests. */
export * as Sandboxes from "./Sandboxes.js"
