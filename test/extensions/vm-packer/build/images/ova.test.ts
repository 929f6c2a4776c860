import { readFileSync } from "node:fs"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { HostPath } from "../../../../../src/domain/HostPath.js"
import { type HostMemory, PackerScripted } from "../../../../../src/testing.js"
import { crashPointStep } from "../../../../support/crashPoints.js"
import { id, platform } from "../../../../support/inMemory.js"
import { type BuildOptions, buildWorld } from "../buildWorld.js"

/** A build of two disks on a host whose programs make what they are asked for, without doing it. */
const options: BuildOptions = {
  script: PackerScripted.building({ qemu: { "out/demo": "one", "out/demo-1": "two" } }),
  template: ["demo.json", JSON.stringify({ builders: [{ type: "qemu", memory: 768 }] })],
  inputs: { format: "ova" },
  program: ({ args, program }, { host, print }) =>
    program === "qemu-img"
      ? args[0] === "convert"
        ? Effect.as(host.write(HostPath(args.at(-1) ?? ""), `vmdk of ${args.at(-2)}`), 0)
        : Effect.as(print(JSON.stringify({ format: "qcow2", "virtual-size": 1024 ** 3 })), 0)
      : args[2] === "ova"
        ? Effect.as(host.write(HostPath(args[3] ?? ""), `tar of ${args.slice(7).join(" ")}`), 0)
        : undefined
}

const ending = (made: Effect.Effect.Success<ReturnType<typeof buildWorld>>) =>
  Effect.gen(function* () {
    const { artifacts, failure, state } = yield* made.get(1)
    expect(failure).toBeNull()
    const events = yield* made.store.events(id(1), 0)
    const image = readFileSync(artifacts[0]?.path ?? "", "utf8")
    return {
      state,
      names: artifacts.map(({ name }) => name),
      members: [...image.matchAll(/-C \S+\/(\S+) (\S+)/g)].map(([, folder, name]) => `${folder}/${name}`),
      said: events.filter(({ type }) => type === "warning").map(({ message }) => message),
      jobs: made.host.commands.filter(({ args }) => args[0] === "convert" || args[2] === "ova").length,
      left: [...made.host.files.keys()].filter((file) => file.includes(id(1)))
    }
  })

/** Supervised by one that dies after so many calls, and then by one that does not; undefined where none died. */
const disturbed = (calls: number) =>
  Effect.scoped(
    Effect.gen(function* () {
      const made = yield* buildWorld(options)
      if (!(yield* made.superviseAndDie(1, 1, calls))) return undefined
      yield* made.supervise(1, 2)
      return yield* ending(made)
    })
  )

describe("an OVA whose supervisor dies", () => {
  it.effect("is made once, at every crash point", () =>
    Effect.gen(function* () {
      for (let calls = 1; ; calls += crashPointStep) {
        const ended = yield* disturbed(calls)
        if (ended === undefined) return expect(calls).toBeGreaterThan(100)
        expect(ended, `after ${calls} calls`).toEqual({
          state: "ready",
          names: ["demo.ova"],
          members: [
            "ova-1-descriptor/demo.ovf",
            "ova-1-disk1/demo-disk1.vmdk",
            "ova-1-disk2/demo-disk2.vmdk"
          ],
          said: [
            "demo.ova has the default hardware 1 CPU: neither the profile's `hardware` nor the template sets it"
          ],
          jobs: 3,
          left: []
        })
      }
    }).pipe(Effect.provide(platform))
  )
})

describe("the tar of an OVA", () => {
  it.scoped.each([
    [8 * 1024 ** 3 - 1, "ustar"],
    [8 * 1024 ** 3, "gnu"]
  ] as ReadonlyArray<[number, string]>)(
    "is USTAR up to its size limit: a disk of %i bytes is %s",
    ([sizeBytes, format]) =>
      Effect.gen(function* () {
        const made = yield* buildWorld(options)
        const { info } = made.host
        const large: HostMemory.MemoryHost["info"] = (path) =>
          Effect.map(info(path), (found) =>
            found !== undefined && path.endsWith(".vmdk") ? { ...found, sizeBytes } : found
          )
        Object.assign(made.host, { info: large })
        yield* made.supervise(1)
        const packed = made.host.commands.find(({ args }) => args[2] === "ova")
        expect(packed?.args[5]).toBe(format)
      }).pipe(Effect.provide(platform))
  )
})
