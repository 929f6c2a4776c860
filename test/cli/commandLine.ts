/** The whole command line in this process: real files and commands of this machine, and a Packer that is not Packer. */
import { mkdirSync, writeFileSync } from "node:fs"
import * as NodeTerminal from "@effect/platform-node/NodeTerminal"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { vi } from "vitest"
import { parse } from "yaml"
import { run } from "../../src/cli/main.js"
import { type LayerOptions, layer, layerSettled } from "../../src/node.js"
import { PackerScripted } from "../../src/testing.js"
import { platform, temporaryFolder } from "../support/inMemory.js"

const profiles: Readonly<Record<string, string>> = {
  base: "id: profile.base\ndescription: What the other extends\nttl: 1 hour\n",
  demo: `id: profile.demo
description: Builds a demo
extends: profile.base
extension: ext.vm-packer
mode: build
inputs:
  packer_template: { default: ../template/demo.pkr.hcl }
  vm_name: { default: demo }
`
}

/** What a command printed. */
export interface Printed {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

/** What is written to a stream while the scope is open, by whomever. */
const captured = (stream: NodeJS.WriteStream) => {
  const sinks = new Set<Array<string>>()
  return Effect.acquireRelease(
    Effect.sync(() => {
      if (sinks.size === 0) {
        vi.spyOn(stream, "write").mockImplementation((chunk, encoding?: unknown, written?: unknown) => {
          const text = typeof chunk === "string" ? chunk : Buffer.from(chunk).toString("utf8")
          for (const sink of sinks) sink.push(text)
          const done = typeof encoding === "function" ? encoding : written
          if (typeof done === "function") done()
          return true
        })
      }
      const sink: Array<string> = []
      sinks.add(sink)
      return sink
    }),
    (sink) =>
      Effect.sync(() => {
        sinks.delete(sink)
        if (sinks.size === 0) vi.mocked(stream.write).mockRestore()
      })
  )
}
const captures = Effect.all([captured(process.stdout), captured(process.stderr)])

/** A command line over a folder of its own, which has profiles and a template; `home` is its state directory. */
export const commandLine = (script: PackerScripted.Script, more: Pick<LayerOptions, "stateHub"> = {}) =>
  Effect.gen(function* () {
    const folder = yield* temporaryFolder
    const home = `${folder}/home`
    for (const name of ["profiles", "template"]) mkdirSync(`${folder}/${name}`)
    for (const [name, text] of Object.entries(profiles))
      writeFileSync(`${folder}/profiles/${name}.yaml`, text)
    writeFileSync(`${folder}/template/demo.pkr.hcl`, 'source "null" "demo" {}')

    /** Runs one command to its end: what its provisions have not come to by then is left to the next one. */
    const sandboxer = (...words: ReadonlyArray<string>): Effect.Effect<Printed> =>
      Effect.scoped(
        Effect.gen(function* () {
          const [stdout, stderr] = yield* captures
          const console = yield* Console.consoleWith(Effect.succeed)
          const options = (overrides: object) => ({
            settings: {
              overrides: { ...overrides, home },
              environment: {},
              workingDirectory: folder,
              shipped: `${folder}/profiles`
            },
            packer: PackerScripted.layer(script),
            ...more
          })
          const exitCode = yield* run(words, {
            settled: (globals) => layerSettled(options(globals)),
            full: (globals) => layer(options(globals))
          }).pipe(
            Effect.withConsole({
              ...console,
              log: (text) => Effect.sync(() => void stdout.push(`${String(text)}\n`))
            }),
            Effect.provide(Layer.merge(platform, NodeTerminal.layer))
          )
          return { exitCode, stdout: stdout.join(""), stderr: stderr.join("") }
        })
      )
    return { folder, home, sandboxer }
  }).pipe(Effect.provide(platform))

/** The document that a command printed. */
export const documentOf = ({ stdout }: Printed) => parse(stdout) as Record<string, never>

/** What a command says that failed because of how it was used. */
export const refusal = ({ exitCode, stderr, stdout }: Printed) => ({
  exitCode,
  stdout,
  stderr: stderr.split("\n")
})
