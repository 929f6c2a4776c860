import { expect, it } from "@effect/vitest"
import { root, run } from "./harness.js"

// `make chaos` is the long run. Of these rounds two hit the connection of attach mode, and one who tells a hub.
it("faults at random points of a build lose, double or leave nothing", async () => {
  const { exitCode, stdout } = await run(
    process.execPath,
    ["test/chaos/chaos.js", "--rounds=6", "--seed=2"],
    { cwd: root }
  )
  expect(stdout).toContain("\n6 passed, 0 failed\n")
  expect(exitCode).toBe(0)
})
