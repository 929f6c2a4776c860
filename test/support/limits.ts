/** Runs before each test file: sets the limit for its tests and hooks, which vitest.config.ts states for a quiet machine. */
import { inject, vi } from "vitest"
import { timeLimit } from "./patience.js"

declare module "vitest" {
  interface ProvidedContext {
    readonly limit: number
  }
}

const limit = timeLimit(inject("limit"))
vi.setConfig({ testTimeout: limit, hookTimeout: limit })
