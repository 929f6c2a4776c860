import { expect, it } from "@effect/vitest"
import { root, run } from "./harness.js"

// `make chaos` is the long run. Of these rounds three are of attach mode, and two tell a hub.
it("nothing is lost, doubled or left where a build is hit at random points", async () => {
  const { exitCode, stdout } = await run(
    process.execPath,
    ["test/chaos/chaos.js", "--rounds=8", "--seed=11"],
    { cwd: root }
  )
  expect(stdout).toContain("\n8 passed, 0 failed\n")
  expect(exitCode).toBe(0)
})
