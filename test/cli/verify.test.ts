import { readFileSync, rmSync, writeFileSync } from "node:fs"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { PackerScripted } from "../../src/testing.js"
import { commandLine } from "./commandLine.js"

const images = PackerScripted.building({ one: { "out/1": "image one" }, two: { "out/2": "image two" } })

describe("artifact verify", () => {
  it.scopedLive("checks all artifacts or the named ones; damage exits with 10", () =>
    Effect.gen(function* () {
      const { sandboxer } = yield* commandLine(images)
      expect(yield* sandboxer("artifact", "verify", "-o", "json")).toMatchObject({
        exitCode: 0,
        stdout: expect.stringContaining('"items": []')
      })
      const created = yield* sandboxer("create", "-p", "demo", "-o", "json", "--progress", "none")
      const { artifacts } = JSON.parse(created.stdout) as {
        readonly artifacts: ReadonlyArray<{
          readonly id: string
          readonly path: string
          readonly name: string
        }>
      }
      const [one, two] = [artifacts[0]!, artifacts[1]!]
      const found = (...words: ReadonlyArray<string>) =>
        Effect.map(
          sandboxer("artifact", "verify", ...words, "-o", "json"),
          ({ exitCode, stderr, stdout }) => ({
            exitCode,
            stderr,
            items: (
              JSON.parse(stdout) as { readonly items: ReadonlyArray<Readonly<Record<string, unknown>>> }
            ).items.map(({ checked, name, problem, status }) => ({ name, status, checked, problem }))
          })
        )
      const fine = { status: "ok", checked: ["size", "sha256"], problem: null }
      expect(yield* found()).toEqual({
        exitCode: 0,
        stderr: "",
        items: [
          { name: one.name, ...fine },
          { name: two.name, ...fine }
        ]
      })

      // One bit of one byte.
      const bytes = readFileSync(two.path)
      bytes[3]! ^= 1
      writeFileSync(two.path, bytes)
      const damaged = yield* found()
      expect(damaged.exitCode).toBe(10)
      expect(damaged.items.map(({ name, status }) => [name, status])).toEqual([
        [one.name, "ok"],
        [two.name, "damaged"]
      ])
      expect(damaged.items[1]?.problem).toMatch(/^its SHA-256 is [0-9a-f]{64} instead of [0-9a-f]{64}$/)
      expect(damaged.stderr).toContain(`error: ${two.path} is damaged: its SHA-256 is `)
      expect(yield* found(one.id)).toMatchObject({ exitCode: 0, items: [{ name: one.name }] })
      // The sandbox's name is that of its primary one.
      expect(yield* found("demo")).toMatchObject({ exitCode: 0, items: [{ name: one.name }] })
      expect(yield* found(two.name)).toMatchObject({ exitCode: 10, items: [{ name: two.name }] })

      rmSync(one.path)
      expect(yield* found(one.name)).toMatchObject({
        exitCode: 10,
        items: [{ status: "missing", problem: `there is no ${one.path}` }]
      })
      const table = yield* sandboxer("artifact", "verify")
      expect(table.stdout.split("\n")[0]).toMatch(/^STATUS +NAME +ID +SANDBOX +CHECKED +DETAIL$/)
      expect(table.stdout).toMatch(/^missing +demo-one\.raw .* there is no /m)
      expect(yield* sandboxer("artifact", "verify", "none")).toMatchObject({ exitCode: 3, stdout: "" })
    })
  )
})
