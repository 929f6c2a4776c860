import { defineConfig } from "vitest/config"

// Three projects, by what a test needs, one after the other. `npx vitest run --project unit` runs one of them.
export default defineConfig({
  test: {
    pool: "forks",
    // Most wait for others more than they compute.
    maxWorkers: "100%",
    setupFiles: "./test/support/limits.ts",
    reporters: ["default", "./scripts/summary-reporter.js"],
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: ["test/{process,e2e,chaos,data}/**"],
          provide: { limit: 30_000 }
        }
      },
      {
        extends: true,
        test: {
          name: "process",
          include: ["test/process/**/*.test.ts"],
          globalSetup: "./scripts/require-build.js",
          sequence: { groupOrder: 1 },
          provide: { limit: 90_000 }
        }
      },
      {
        extends: true,
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          globalSetup: "./scripts/require-build.js",
          // Whole machines boot in these: one file at a time.
          poolOptions: { forks: { singleFork: true } },
          sequence: { groupOrder: 2 },
          provide: { limit: 600_000 }
        }
      }
    ]
  }
})
