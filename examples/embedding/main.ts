/** Builds an image with a Packer and a State Hub of its own, and reads what happens as a stream. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { Failure, Host, HostPath, Jobs, type Note, Packer, Sandboxes, StateHub } from "sandboxer"
import { layer } from "sandboxer/node"

/** A Packer whose builds copy the template: a Job on the Host that the sandbox is placed on. */
const layerCopier = Layer.effect(
  Packer.Packer,
  Effect.map(Host.Host, (host): Packer.PackerShape => {
    const says = (end: number, event: Packer.PackerEvent): Packer.BuildRecord => ({
      end,
      complete: true,
      events: [event],
      overall: undefined
    })
    return {
      version: Effect.succeed({ major: 1, minor: 16, patch: 0 }),
      init: () => Effect.void,
      inspect: () => Effect.succeed({ variables: [], builds: [{ name: "copy", type: "copy" }] }),
      validate: () => Effect.void,
      qemuMessage: () => Effect.succeed(undefined),
      awaitedPort: () => Effect.succeed(undefined),
      build: (job, { path }) => {
        const image = HostPath.join(job.folder, "image.img")
        const about = { time: Date.now(), build: "copy" }
        const started = host.startJob({
          folder: job.folder,
          program: "cp",
          args: ["-v", path, image],
          stop: "group"
        })
        const printed = Stream.map(Jobs.lines(host.followJob(job.folder, 0)), ({ end, text }) =>
          says(end, { _tag: "Line", ...about, stream: "say", text })
        )
        const ended = Effect.gen(function* () {
          const exitCode = yield* Jobs.conclude(host, job, "group")
          if (exitCode === 0) {
            return says(0, { _tag: "Artifact", ...about, builderId: "copy", files: [image] })
          }
          return yield* new Failure.ProvisionError({
            reason: "build-failed",
            message: `cp ended with exit code ${exitCode}`,
            hint: "see the log"
          })
        })
        return Stream.execute(started).pipe(Stream.concat(printed), Stream.concat(Stream.fromEffect(ended)))
      }
    }
  })
)

const endings = ["ready", "failed", "cancelled"]

const program = Effect.gen(function* () {
  const notes = yield* Queue.unbounded<Note.Note>()
  const layerHub = Layer.succeed(StateHub.StateHub, {
    publish: (told) => Effect.asVoid(Queue.offerAll(notes, told))
  })

  const provision = Effect.gen(function* () {
    const sandboxes = yield* Sandboxes.Sandboxes
    const { id } = yield* sandboxes.create({
      profile: "profile.copy",
      inputs: { vm_name: "demo" },
      environment: process.env,
      workingDirectory: process.cwd()
    })
    const events = sandboxes
      .follow(id, 0)
      .pipe(Stream.runForEach((event) => Console.log(`event ${event.seq}: ${event.message}`)))
    const told = Stream.fromQueue(notes).pipe(
      Stream.takeUntil((note) => endings.includes(note.event_type)),
      Stream.runForEach((note) => Console.log(`hub ${note.sequence}: ${note.summary}`))
    )
    yield* Effect.all([events, told], { concurrency: "unbounded", discard: true })
    return yield* sandboxes.get(id)
  })

  const { artifacts, failure, state } = yield* Effect.provide(
    provision,
    layer({ packer: layerCopier, stateHub: layerHub })
  )
  yield* Console.log(failure === null ? state : `${state}: ${failure.message}`)
  for (const { format, name, sizeBytes } of artifacts) {
    yield* Console.log(`${name}, ${format}, ${sizeBytes} bytes`)
  }
})

NodeRuntime.runMain(program)
