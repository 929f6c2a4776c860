import { defineConfig } from "vitest/config"
import { timeLimit } from "./test/support/patience.js"

/** What a test and a hook may take, in milliseconds on a quiet machine: it ends those that hang. */
const limit = (milliseconds: number) => ({
  testTimeout: timeLimit(milliseconds),
  hookTimeout: timeLimit(milliseconds)
})

/**
 * Projects by what a test needs; `npx vitest run --project unit` runs one of them. Tests that compute come first, as many files
 * at a time as there are cores; then tests with real processes; then those that boot machines, one file at a time. Fifty builds
 * at once do not fit beside the process tests: on two cores, some waited 30 s for the database's lock.
 */
export default defineConfig({
  test: {
    maxWorkers: "100%",
    // Loading Effect again for each file took half of the time of the unit tests.
    isolate: false,
    reporters: ["default", "./scripts/summary-reporter.js"],
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: ["test/{crash-points,process,e2e,chaos,data}/**"],
          ...limit(120_000)
        }
      },
      {
        extends: true,
        test: {
          name: "crash-points",
          include: ["test/crash-points/**/*.test.ts"],
          ...limit(600_000)
        }
      },
      {
        extends: true,
        test: {
          name: "process",
          include: ["test/process/**/*.test.ts"],
          globalSetup: "./scripts/require-build.js",
          sequence: { groupOrder: 1 },
          ...limit(300_000)
        }
      },
      {
        extends: true,
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          globalSetup: "./scripts/require-build.js",
          pool: "threads",
          poolOptions: { threads: { singleThread: true } },
          sequence: { groupOrder: 2 },
          ...limit(900_000)
        }
      }
    ]
  }
})
