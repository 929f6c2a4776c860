import { expect, it } from "@effect/vitest"
import { root, run } from "./harness.js"

// `make chaos` is the long run.
it("nothing is lost, doubled or left where a build is hit at random points", async () => {
  const { exitCode, stdout } = await run(
    process.execPath,
    ["test/chaos/chaos.js", "--rounds=10", "--seed=11"],
    { cwd: root }
  )
  expect(stdout).toContain("\n10 passed, 0 failed\n")
  expect(exitCode).toBe(0)
})
