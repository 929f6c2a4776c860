import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { type HostPath, HostPathFromString, join } from "../../../../domain/HostPath.js"
import { Host } from "../../../../hosts/Host.js"
import { type Inspection, Packer, type Template } from "../../../../packer/Packer.js"
import { Provision } from "../../../../recipe/Provision.js"
import { Reporter } from "../../../../recipe/Reporter.js"
import { retainOnFailure } from "../../../../recipe/RetainOnFailure.js"
import { Steps } from "../../../../recipe/Steps.js"
import { type BuildPlan, selectedBuilds } from "../BuildPlan.js"
import type { Prepared } from "./prepare.js"

/** Arguments of `packer build`, and what the watchers have to know of the template. */
export const ValidatedRequest = Schema.Struct({
  /** Builds whose machine is a process of the Job. Journals of older versions do not have them. */
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
export type ValidatedRequest = typeof ValidatedRequest.Type

/**
 * Writes the template's variables to a file, and has Packer check the template with them (`packer validate`). Returns
 * the arguments of `packer build`.
 *
 * Journaled: Packer finds a template invalid once its output directory exists, which is so when a supervisor takes
 * over a running build. The file is in the attempt's folder, and is removed with it.
 */
export const validate = (
  plan: BuildPlan,
  template: Template,
  inspection: Inspection,
  prepared: Prepared | undefined
) =>
  Effect.flatMap(Steps, (steps) =>
    steps.step("validate", ValidatedRequest, validated(plan, template, inspection, prepared))
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
  // Names that templates use by convention. The output directory is this attempt's own, so that concurrent runs do not use the same one.
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
  } satisfies ValidatedRequest
  // `packer validate` has no -force, so it refuses what `packer build -force` replaces.
  yield* packer.validate(request).pipe(
    Effect.catchIf(
      ({ reason }) => plan.force && reason === "output-exists",
      () => Effect.void
    )
  )
  return request
})

/** The value of a variable of a JSON template, all of which are strings. */
const asText = (value: unknown) =>
  typeof value === "object" && value !== null ? JSON.stringify(value) : String(value)

/** The output directory of a template that declares the variable `output_directory`. */
export const outputFolder = (folder: HostPath) => join(folder, "output")

/** Builders whose machine is a process of the Job, or that have none; other machines live on in a service or elsewhere. */
const contained = ["qemu", "file", "null"]

/** Decides what Packer does when a build fails: files are kept only where that leaves nothing running. */
const onError = Effect.fn(function* (plan: BuildPlan, builds: Inspection["builds"], ownFolder: boolean) {
  if (plan.onError === "cleanup") return "cleanup"
  const reporter = yield* Reporter
  const steps = yield* Steps
  const names = selectedBuilds(
    plan,
    builds.map(({ name }) => name)
  )
  const others = builds.filter(({ name, type }) => names.includes(name) && !contained.includes(type))
  const why =
    others.length > 0
      ? `machines of ${[...new Set(others.map(({ type }) => type))].join(", ")} would keep running`
      : ownFolder
        ? undefined
        : "the template declares no variable output_directory"
  if (why !== undefined) {
    yield* reporter.warning("on_error", `on_error=keep keeps nothing: ${why}`)
    return "cleanup"
  }
  yield* retainOnFailure(outputFolder(steps.folder))
  return "abort"
})
