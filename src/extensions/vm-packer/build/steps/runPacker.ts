import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { ProvisionError } from "../../../../domain/Failure.js"
import { type HostPath, HostPathFromString, join } from "../../../../domain/HostPath.js"
import { didYouMean } from "../../../../domain/Nearest.js"
import { Host } from "../../../../hosts/Host.js"
import * as Jobs from "../../../../hosts/jobs/Jobs.js"
import {
  type BuildRecord,
  type Inspection,
  Packer,
  type Template,
  type Version
} from "../../../../packer/Packer.js"
import { Provision } from "../../../../recipe/Provision.js"
import type { RecipeError } from "../../../../recipe/Recipe.js"
import { type OutputLine, Reporter } from "../../../../recipe/Reporter.js"
import { retainOnFailure } from "../../../../recipe/RetainOnFailure.js"
import { Steps } from "../../../../recipe/Steps.js"
import type { StoreError } from "../../../../store/SandboxStore.js"
import type { BuildPlan } from "../BuildPlan.js"
import { guard } from "../watchers/watchPacker.js"
import type { Prepared } from "./prepare.js"

/**
 * Makes the template's folder available on the host. Journaled, since on another machine that makes it what it is here,
 * and takes away what a build has made there by then.
 */
export const place = Effect.fn(function* (plan: BuildPlan) {
  const host = yield* Host
  const steps = yield* Steps
  const folder = yield* steps.step("place", HostPathFromString, host.stage(plan.folder, steps.fence))
  const name = plan.template === plan.folder ? undefined : plan.template.slice(plan.folder.length + 1)
  return { folder, path: name === undefined ? folder : join(folder, name) }
})

/** Installs the template's plugins, where it asks for any; journaled, since a build that goes on has them. */
export const init = Effect.fn(function* (plan: BuildPlan, version: Version, template: Template) {
  const packer = yield* Packer
  const steps = yield* Steps
  if (!plan.asksForPlugins) return
  yield* steps.step("init", Schema.Null, Effect.as(packer.init(version, template), null))
})

// A JSON template's variables are texts.
const asText = (value: unknown) =>
  typeof value === "object" && value !== null ? JSON.stringify(value) : String(value)

const Inspected = Schema.Struct({
  variables: Schema.Array(Schema.Struct({ name: Schema.String, hasDefault: Schema.Boolean })),
  builds: Schema.Array(Schema.Struct({ name: Schema.String, type: Schema.String }))
})

/**
 * Has Packer read the template: what it declares. That it declares what it is given is found out here, before any time
 * is spent on `prepare`.
 */
export const inspect = Effect.fn(function* (plan: BuildPlan, template: Template) {
  const packer = yield* Packer
  const steps = yield* Steps
  const inspection = yield* steps.step("inspect", Inspected, packer.inspect(template))
  const declared = inspection.variables.map(({ name }) => name)
  const given = [
    ...Object.keys(plan.variables),
    ...plan.secretVariables,
    ...(plan.prepare === null ? [] : [plan.prepare.variable])
  ]
  const unknown = given.find((name) => !declared.includes(name))
  if (unknown !== undefined) {
    return yield* new ProvisionError({
      reason: "input-invalid",
      message: `the template ${plan.template} declares no variable ${unknown}`,
      hint: didYouMean(unknown, declared, `its variables are ${declared.join(", ") || "none"}`)
    })
  }
  return inspection
})

const Request = Schema.Struct({
  /** Builds whose machine is a process of the Job; a plan that an older program journaled has none. */
  machines: Schema.optionalWith(Schema.Array(Schema.String), { default: () => [] }),
  path: HostPathFromString,
  folder: HostPathFromString,
  variableFiles: Schema.Array(HostPathFromString),
  only: Schema.Array(Schema.String),
  except: Schema.Array(Schema.String),
  force: Schema.Boolean,
  onError: Schema.Literal("cleanup", "abort"),
  builds: Schema.Array(Schema.String)
})

/**
 * Gives the template its variables and has Packer check it: what `packer build` is to be asked. Journaled, since a
 * template is not valid any more once its output is there.
 */
export const validate = (
  plan: BuildPlan,
  template: Template,
  inspection: Inspection,
  prepared: Prepared | undefined
) =>
  Effect.flatMap(Steps, (steps) =>
    steps.step("validate", Request, validated(plan, template, inspection, prepared))
  )

const validated = Effect.fn(function* (
  plan: BuildPlan,
  template: Template,
  { builds, variables }: Inspection,
  prepared: Prepared | undefined
) {
  const host = yield* Host
  const packer = yield* Packer
  const steps = yield* Steps
  const { secrets } = yield* Provision
  const declared = variables.map(({ name }) => name)
  const secret = plan.secretVariables.map(
    (name) => [name, Redacted.value(secrets[name] ?? Redacted.make(""))] as const
  )
  const given: Record<string, unknown> = {
    ...plan.variables,
    ...Object.fromEntries(secret),
    ...(prepared === undefined ? {} : { [prepared.variable]: prepared.file })
  }
  // By the build machines' conventions; a folder of its own, so that no two runs meet.
  const conventions = { vm_name: plan.vmName, output_directory: outputFolder(steps.folder) }
  const taken = Object.entries(conventions).filter(([name]) => declared.includes(name) && !(name in given))
  const values = { ...given, ...Object.fromEntries(taken) }
  const isJson = template.path.endsWith(".json") && !template.path.endsWith(".pkr.json")
  const file = join(steps.folder, "variables.json")
  yield* host.write(
    file,
    JSON.stringify(
      isJson
        ? Object.fromEntries(Object.entries(values).map(([name, value]) => [name, asText(value)]))
        : values
    )
  )
  const request = {
    machines: builds.flatMap(({ name, type }) => (type === "qemu" ? [name] : [])),
    ...template,
    variableFiles: [...(yield* Effect.forEach(plan.varFiles, (one) => host.stage(one, steps.fence))), file],
    only: plan.only,
    except: plan.except,
    force: plan.force,
    onError: yield* onError(plan, builds, "output_directory" in Object.fromEntries(taken)),
    builds: builds.map(({ name }) => name)
  } satisfies typeof Request.Type
  // It cannot be told to replace what is there, as the build will be.
  yield* packer.validate(request).pipe(
    Effect.catchIf(
      ({ reason }) => plan.force && reason === "output-exists",
      () => Effect.void
    )
  )
  return request
})

/** Where a template that takes an output directory from us has it. */
export const outputFolder = (folder: HostPath) => join(folder, "output")

/** The builds that will run; where `only` has patterns, all that may. */
export const selected = ({ except, only }: BuildPlan, builds: ReadonlyArray<string>): ReadonlyArray<string> =>
  builds.filter(
    (name) =>
      (only.includes(name) || !only.every((one) => builds.includes(one)) || only.length === 0) &&
      !except.includes(name)
  )

/** Builders whose machines run within the Job, and end with it; others' live on in a service or elsewhere. */
const contained = ["qemu", "file", "null"]

/** What Packer is to do when a build fails: files are kept where that leaves nothing that runs. */
const onError = Effect.fn(function* (plan: BuildPlan, builds: Inspection["builds"], ownFolder: boolean) {
  if (plan.onError === "cleanup") return "cleanup"
  const reporter = yield* Reporter
  const steps = yield* Steps
  const names = selected(
    plan,
    builds.map(({ name }) => name)
  )
  const others = builds.filter(({ name, type }) => names.includes(name) && !contained.includes(type))
  const why =
    others.length > 0
      ? `machines of ${[...new Set(others.map(({ type }) => type))].join(", ")} would live on`
      : ownFolder
        ? undefined
        : "the template takes no output_directory from us"
  if (why !== undefined) {
    yield* reporter.warning("on_error", `on_error=keep will keep nothing: ${why}`)
    return "cleanup"
  }
  yield* retainOnFailure(outputFolder(steps.folder))
  return "abort"
})

/** What a build made: files in the order that Packer told them. */
export const MadeFile = Schema.Struct({ build: Schema.String, builderId: Schema.String, file: Schema.String })
export type MadeFile = typeof MadeFile.Type

const Made = Schema.Struct({ builds: Schema.Array(Schema.String), files: Schema.Array(MadeFile) })
export type Made = typeof Made.Type

/** What Packer does not clean up when it aborts: a line a step, which hide why it did. */
const leftBehind = /^aborted: skipping cleanup of step "/

const logLines = (
  job: string,
  { complete, end, events }: BuildRecord,
  several: boolean
): ReadonlyArray<OutputLine> => {
  const texts = events.flatMap((event) =>
    event._tag === "Line" && !leftBehind.test(event.text)
      ? [several && event.build !== undefined ? `${event.build}: ${event.text}` : event.text]
      : []
  )
  return texts.map((text, index) => ({ job, end, text, complete: complete || index < texts.length - 1 }))
}

const isProvisionError = (error: RecipeError): error is ProvisionError => error._tag === "ProvisionError"

const withTail = (error: ProvisionError, logTail: ReadonlyArray<string>) =>
  new ProvisionError({ reason: error.reason, message: error.message, hint: error.hint, logTail })

/** What was printed up to where a provisioner failed: its last lines. */
const beforeCleanUp = (tail: ReadonlyArray<string>): ReadonlyArray<string> => {
  const at = tail.findIndex((line) => /Provisioning step had errors|Step "StepProvision" failed/.test(line))
  return at > 0 ? tail.slice(0, at) : tail
}

/** The crash.log that a Packer that panics leaves in its folder: it is kept, redacted, and what was made by it goes. */
const crashLog = Effect.fn(function* (folder: HostPath) {
  const host = yield* Host
  const reporter = yield* Reporter
  const steps = yield* Steps
  const file = join(folder, "crash.log")
  const before = yield* steps.step(
    "crash-log",
    Schema.Boolean,
    Effect.map(host.info(file), (info) => info !== undefined)
  )
  return (error: ProvisionError): Effect.Effect<never, ProvisionError | StoreError> =>
    Effect.gen(function* () {
      // In a folder that the next build may have by now.
      const fence = yield* Effect.catchTag(steps.fence, "HostError", () => error)
      const read = yield* Effect.option(host.run({ program: "cat", args: ["--", file] }, { fence }))
      if (read._tag === "None" || read.value.exitCode !== 0) return yield* error
      const kept = yield* reporter.keep("crash.log", read.value.stdout)
      if (!before) {
        yield* Effect.ignore(host.run({ program: "rm", args: ["-f", "--", file] }, { fence }))
      }
      return yield* new ProvisionError({
        reason: error.reason,
        message: error.message,
        hint: `Packer's crash.log is kept, redacted, in ${kept}${before ? `; the one in ${folder} was there before, and may have secrets in it` : ""}.`
      })
    })
})

/** Runs Packer to its end. */
export const runPacker = Effect.fn(function* (plan: BuildPlan, request: typeof Request.Type) {
  const host = yield* Host
  const packer = yield* Packer
  const reporter = yield* Reporter
  const steps = yield* Steps
  const several = request.builds.length > 1
  return yield* steps.job(
    "build",
    { schema: Made, stop: "leader" },
    Effect.fn(function* (job) {
      const files: Array<MadeFile> = []
      const crash = yield* crashLog(request.folder)
      const { explain, saw, watch } = yield* guard(job, {
        machines: request.machines,
        folders: [host.home, request.folder],
        freeDisk: plan.requires.freeDisk
      })
      yield* packer.build(job, request).pipe(
        Jobs.grouped,
        Stream.runForEach(
          Effect.fn(function* (records) {
            const lines = [...records].flatMap((record) => logLines(job.key, record, several))
            for (const { events, overall } of records) {
              for (const event of events) {
                if (event._tag === "Phase") {
                  yield* reporter.phase(event.phase, {
                    at: event.time,
                    ...(several ? { build: event.build } : {}),
                    ...(overall === undefined ? {} : { overall })
                  })
                } else if (event._tag === "Warning") {
                  yield* reporter.warning(event.message.slice(0, 200), event.message)
                } else if (event._tag === "Artifact") {
                  files.push(
                    ...event.files.map((file) => ({ build: event.build, builderId: event.builderId, file }))
                  )
                }
              }
            }
            yield* reporter.output(lines)
            yield* saw(records)
          })
        ),
        Effect.raceFirst(watch),
        Effect.catchAll(explain),
        Effect.catchIf(isProvisionError, (error) =>
          error.reason === "packer-crashed"
            ? crash(error)
            : error.reason === "provisioner-failed"
              ? Effect.flatMap(reporter.tail, (tail) => withTail(error, beforeCleanUp(tail)))
              : error
        )
      )
      return { builds: request.builds, files }
    })
  )
})
