/** Finds the machine of attach mode: from the inputs, else from the port registry. */
import * as Effect from "effect/Effect"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { UsageError } from "../../../domain/Errors.js"
import { didYouMean } from "../../../domain/Nearest.js"
import type { Placement } from "../../../domain/Placement.js"
import { type DocumentKind, read } from "../../../settings/Documents.js"
import { Settings } from "../../../settings/Settings.js"

/** The inputs that name a machine. */
export interface GivenMachine {
  readonly host: string | undefined
  readonly port: number | undefined
  readonly user: string | undefined
  readonly identityFile: string | undefined
  readonly vmName: string | undefined
}

const inputError = (message: string, hint: string) => new UsageError({ reason: "input", message, hint })

/** A machine of the registry. Other programs write that file, and may add fields. */
const Registered = Schema.Struct({
  host: Schema.optional(Schema.NonEmptyString),
  port: Schema.optional(Schema.Int.pipe(Schema.between(1, 65_535))),
  user: Schema.optional(Schema.NonEmptyString)
})

const registry: DocumentKind = {
  reason: "configuration",
  name: "a port registry",
  begin: "begin with `VM_NAME: { host: …, port: …, user: … }`",
  mayBeEmpty: true
}

const lookUp = Effect.fn(function* (vmName: string, file: string | undefined, needed: boolean) {
  if (file === undefined) {
    if (!needed) return {}
    return yield* inputError(
      `input vm_name: there is no port registry to look up ${vmName}`,
      "give its host: -i host=…, or name the registry's file in the configuration: `portRegistry: FILE`"
    )
  }
  const { keys, locate } = yield* read(file, registry)
  if (!Object.hasOwn(keys, vmName)) {
    if (!needed) return {}
    const names = Object.keys(keys)
    return yield* inputError(
      `input vm_name: ${file} has no ${vmName}`,
      didYouMean(vmName, names, names.length === 0 ? "the file has no machine" : "give its host: -i host=…")
    )
  }
  return yield* Effect.mapError(Schema.decodeUnknown(Registered)(keys[vmName]), (error) => {
    const [issue] = ParseResult.ArrayFormatter.formatErrorSync(error)
    const path = [vmName, ...(issue?.path ?? [])]
    return new UsageError({
      reason: "configuration",
      message: `${path.map(String).join(".")}: ${issue?.message.split("\n").at(-1)}`,
      hint: "an entry of the registry is `VM_NAME: { host: …, port: …, user: … }`",
      location: { file, ...locate(path) }
    })
  })
})

/** The placement of a sandbox; `fallback` is the host that the profile names. */
export const placementOf = Effect.fn(function* (given: GivenMachine, fallback: string) {
  const { hosts, portRegistry } = yield* Settings
  const named = given.host ?? (fallback === "local" ? undefined : fallback)
  const found =
    given.vmName === undefined ? {} : yield* lookUp(given.vmName, portRegistry, named === undefined)
  const host = named ?? found.host
  if (host === undefined) {
    const names = Object.keys(hosts)
    return yield* inputError(
      given.vmName === undefined
        ? "input host is missing"
        : `input host: the registry has no host for ${given.vmName}`,
      `give it: -i host=…${names.length === 0 ? "" : `; the configuration has ${names.join(", ")}`}`
    )
  }
  const own = {
    port: given.port ?? found.port,
    user: given.user ?? found.user,
    identityFile: given.identityFile
  }
  const isCustom = Object.values(own).some((value) => value !== undefined)
  if (host === "local") {
    if (!isCustom) return { host } satisfies Placement
    return yield* inputError(
      "input host: this machine is reached without a port, a user or a key",
      "leave them out, or give another host"
    )
  }
  const configured = Object.hasOwn(hosts, host) ? hosts[host]?.connection : undefined
  if (configured !== undefined && !isCustom) return { host } satisfies Placement
  const placement: Placement = {
    host,
    connection: {
      host: configured?.host ?? host,
      port: own.port ?? configured?.port ?? null,
      user: own.user ?? configured?.user ?? null,
      identityFile: own.identityFile ?? configured?.identityFile ?? null
    }
  }
  return placement
})
