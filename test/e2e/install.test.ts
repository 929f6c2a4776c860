import { readdirSync, realpathSync } from "node:fs"
import { dirname, join } from "node:path"
import { afterAll, beforeAll, expect, it } from "@effect/vitest"
import { version } from "../../src/domain/version.js"
import { makeWorkbench, root, run, type Workbench } from "./harness.js"

let bench: Workbench
beforeAll(() => {
  bench = makeWorkbench()
})
afterAll(() => bench.remove())

it("make install installs a command that does not need the checkout, and make uninstall removes it", async () => {
  const prefix = join(bench.folder, "prefix")
  const install = await run("make", ["--silent", "install", `PREFIX=${prefix}`])
  expect(install).toMatchObject({ exitCode: 0 })

  // Nothing of it is a link to somewhere else.
  const files = readdirSync(prefix, { recursive: true, encoding: "utf8" }).map((name) => join(prefix, name))
  const outside = files.map((file) => realpathSync(file)).filter((file) => !file.startsWith(`${prefix}/`))
  expect(outside).toEqual([])

  // From a folder without profiles, by the PATH alone.
  const options = {
    cwd: bench.folder,
    env: {
      PATH: [join(prefix, "bin"), dirname(process.execPath), "/usr/bin", "/bin"].join(":"),
      SANDBOXER_HOME: bench.home
    }
  }
  const sandboxer = (...args: ReadonlyArray<string>) => run("sandboxer", args, options)
  expect((await sandboxer("--version")).stdout.trim()).toBe(version)
  const profiles = await sandboxer("profile", "list", "-o", "json")
  expect(profiles).toMatchObject({ exitCode: 0, stderr: "" })
  const { items } = JSON.parse(profiles.stdout) as {
    readonly items: ReadonlyArray<{ readonly id: string; readonly file: string }>
  }
  expect(items.map(({ id }) => id)).toEqual(
    expect.arrayContaining(["profile.tiny-linux", "profile.vm-packer-build"])
  )
  expect(items.filter(({ file }) => file.startsWith(root))).toEqual([])
  // With the database: its native code is among what was installed.
  expect(await sandboxer("list", "-q")).toEqual({ exitCode: 0, stdout: "", stderr: "" })

  // What a Makefile includes is there, and finds its script.
  const shim = join(prefix, "lib/sandboxer/scripts/remote-build.mk")
  expect(await run("make", ["-f", shim, "remote-build"], options)).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining("PROJECT is missing")
  })

  expect(await run("make", ["--silent", "uninstall", `PREFIX=${prefix}`])).toMatchObject({ exitCode: 0 })
  const left = readdirSync(prefix, { recursive: true, withFileTypes: true }).filter(
    (one) => !one.isDirectory()
  )
  expect(left).toEqual([])
})
