/** An adapter of Packer for tests: it prints and makes what a script says, and starts no process. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import type { ProvisionError } from "../../domain/Failure.js"
import { dirname, join, resolve } from "../../domain/HostPath.js"
import { Host, type HostError } from "../../hosts/Host.js"
import {
  type BuildRecord,
  type BuildRequest,
  type Inspection,
  Packer,
  type PackerEvent,
  type Selection,
  type Template,
  type Version
} from "../Packer.js"
import { type DecoderState, initial, overallPhase } from "../wire/BuildEvents.js"

/** A call of Packer. `Said` and `Ends` are points in a build, at which a script can make it hang or fail. */
export type Asked =
  | { readonly _tag: "Version" }
  | { readonly _tag: "Init"; readonly template: Template }
  | { readonly _tag: "Inspect"; readonly template: Template }
  | { readonly _tag: "Validate"; readonly request: Template & Selection }
  /** A build starts; not called for one that is followed. */
  | { readonly _tag: "Build"; readonly request: BuildRequest }
  | { readonly _tag: "Said"; readonly event: PackerEvent }
  | { readonly _tag: "Ends" }

export interface Script {
  /** 1.16.0 by default. */
  readonly version?: Version
  /** The template's variables, by default none; and its builds, by default those in the events. */
  readonly variables?: ReadonlyArray<string>
  readonly builds?: ReadonlyArray<string>
  /** Events of a build, the same each time that it is followed. */
  readonly events: ReadonlyArray<PackerEvent>
  /** Files that a build makes: contents by path, relative to the template's folder like Packer's. */
  readonly files: Readonly<Record<string, string>>
  /** Runs before each call, which fails if this does. */
  readonly when?: (asked: Asked) => Effect.Effect<void, ProvisionError | HostError>
}

const release: Version = { major: 1, minor: 16, patch: 0 }
const time = Date.UTC(2026, 0, 1)

/** The script of a template whose builds succeed; the files that they make, by the build's name. */
export const building = (made: Readonly<Record<string, Readonly<Record<string, string>>>>): Script => {
  const builds = Object.keys(made)
  const phases = ["create", "boot", "connect", "provision", "shutdown", "export"] as const
  return {
    builds,
    variables: ["vm_name", "output_directory"],
    events: [
      ...phases.flatMap((phase) =>
        builds.flatMap(
          (build): ReadonlyArray<PackerEvent> => [
            { _tag: "Phase", time, build, phase },
            { _tag: "Line", time, build, stream: "say", text: `now: ${phase}` }
          ]
        )
      ),
      ...builds.map((build): PackerEvent => ({ _tag: "BuildFinished", time, build })),
      ...Object.entries(made).map(
        ([build, files]): PackerEvent => ({
          _tag: "Artifact",
          time,
          build,
          builderId: "scripted",
          files: Object.keys(files)
        })
      )
    ],
    files: Object.assign({}, ...Object.values(made))
  }
}

const buildsIn = (events: ReadonlyArray<PackerEvent>): ReadonlyArray<string> => [
  ...new Set(events.flatMap((event) => ("build" in event && event.build !== undefined ? [event.build] : [])))
]

const after = (state: DecoderState, event: PackerEvent): DecoderState => {
  if (event._tag !== "Phase" && event._tag !== "BuildFinished" && event._tag !== "BuildErrored") return state
  const before = state.seen.find(({ build }) => build === event.build)
  const now = {
    ...(before ?? { build: event.build, ended: false, artifacts: 0, files: [] }),
    ...(event._tag === "Phase" ? { phase: event.phase } : { ended: true })
  }
  return { ...state, seen: [...state.seen.filter((one) => one !== before), now] }
}

/** Each event is a line of one byte. */
const records = (events: ReadonlyArray<PackerEvent>, builds: ReadonlyArray<string>) => {
  let state = initial(builds)
  return events.map((event, index): BuildRecord => {
    state = after(state, event)
    return { end: index + 1, complete: true, events: [event], overall: overallPhase(state) }
  })
}

/** @category layers */
export const layer = (script: Script): Layer.Layer<Packer, never, Host> =>
  Layer.effect(
    Packer,
    Effect.map(Host, (host) => {
      const { builds = buildsIn(script.events), variables = [], version = release } = script
      const when = script.when ?? (() => Effect.void)
      const inspection: Inspection = {
        variables: variables.map((name) => ({ name, hasDefault: true })),
        builds: builds.map((name) => ({ name, type: name }))
      }
      // Like Packer, it finds files on its host only.
      const find = (template: Template, variableFiles: Selection["variableFiles"] = []) =>
        Effect.forEach([template.folder, template.path, ...variableFiles], host.realPath, { discard: true })
      const make = (request: BuildRequest) =>
        Effect.forEach(
          Object.entries(script.files),
          ([name, content]) => {
            const file = resolve(request.folder, name)
            return Effect.zipRight(host.makeFolder(dirname(file)), host.write(file, content))
          },
          { discard: true }
        )
      return {
        qemuMessage: () => Effect.succeed(undefined),
        awaitedPort: () => Effect.succeed(undefined),
        version: Effect.as(when({ _tag: "Version" }), version),
        init: (_, template) => Effect.zipRight(find(template), when({ _tag: "Init", template })),
        inspect: (template) =>
          find(template).pipe(Effect.zipRight(when({ _tag: "Inspect", template })), Effect.as(inspection)),
        validate: (request) =>
          Effect.zipRight(find(request, request.variableFiles), when({ _tag: "Validate", request })),
        build: (job, request) => {
          const begin = Effect.gen(function* () {
            yield* find(request, request.variableFiles)
            // A Job does not start if its folder is gone.
            yield* host.list(job.folder)
            yield* make(request)
            const claim = join(job.folder, "claim")
            if ((yield* host.info(claim)) !== undefined) return
            yield* host.write(claim, "")
            yield* when({ _tag: "Build", request })
          })
          const said = Stream.fromIterable(records(script.events, builds)).pipe(
            Stream.rechunk(1),
            Stream.tap(({ events }) =>
              Effect.forEach(events, (event) => when({ _tag: "Said", event }), { discard: true })
            )
          )
          return Stream.execute(begin).pipe(
            Stream.concat(said),
            Stream.concat(Stream.execute(when({ _tag: "Ends" })))
          )
        }
      }
    })
  )
