/** The mode that provisions a profile's sandboxes: a mode of its extension, with inputs that the profile narrows. */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Inspectable from "effect/Inspectable"
import { type Location, UsageError } from "../domain/Errors.js"
import type { InputDeclaration, InputDeclarations, InputValues, ProfileInput } from "../domain/Input.js"
import { didYouMean } from "../domain/Nearest.js"
import type { Profile } from "../domain/Profile.js"
import { type AnyMode, type Extension, Extensions } from "./Extension.js"

export interface ProfileMode {
  readonly extension: Extension
  readonly name: string
  readonly mode: AnyMode
  /** The extension's inputs as the profile narrows them, and the inputs that the profile adds. */
  readonly inputs: InputDeclarations
  /** Inputs that only another mode of the extension has, with the name of that mode. */
  readonly elsewhere: Readonly<Record<string, string>>
  /** Mistakes in the profile's own input declarations. */
  readonly problems: ReadonlyArray<UsageError>
}

// The location of the key, or of the nearest parent key that is written in the file.
const locationOf = (profile: Profile, keys: ReadonlyArray<string>): Location =>
  keys.length === 0
    ? { file: profile.file, line: 1, column: 1 }
    : (profile.saidBy(keys)[0]?.location ?? locationOf(profile, keys.slice(0, -1)))

/** An error in a profile, with the location of the key that causes it. */
export const profileError = (
  profile: Profile,
  keys: ReadonlyArray<string>,
  message: string,
  hint: string
): UsageError => new UsageError({ reason: "profile", message, hint, location: locationOf(profile, keys) })

const inputsElsewhere = ({ modes }: Extension, name: string, declared: InputDeclarations) =>
  Object.fromEntries(
    Object.entries(modes).flatMap(([other, { inputs }]) =>
      Object.keys(inputs)
        .filter((input) => other !== name && !Object.hasOwn(declared, input))
        .map((input) => [input, other] as const)
    )
  )

const narrow = (
  profile: Profile,
  extension: Extension,
  declared: InputDeclarations,
  elsewhere: Readonly<Record<string, string>>,
  own: boolean
) => {
  const inputs = new Map<string, InputDeclaration>(Object.entries(declared))
  const problems: Array<UsageError> = []
  for (const [name, input] of Object.entries<ProfileInput>(profile.document.inputs ?? {})) {
    const below = inputs.get(name)
    const type = input.type ?? below?.type
    const wrong = (message: string, hint: string, key: ReadonlyArray<string> = []) =>
      problems.push(profileError(profile, ["inputs", name, ...key], message, hint))
    const there = Object.hasOwn(elsewhere, name) ? elsewhere[name] : undefined
    // The profile declares inputs for its own mode; with another mode they do not apply.
    if (there !== undefined && !own) continue
    if (below === undefined && input.variable !== true) {
      wrong(
        there === undefined ? `${extension.id} has no input ${name}` : `${name} is an input of ${there} mode`,
        didYouMean(name, Object.keys(declared), "a variable of the template needs `variable: true`")
      )
    } else if (type === undefined) {
      wrong(`input ${name} has no type`, "add its type, such as `type: string`")
    } else if (below !== undefined && below.type !== type) {
      wrong(`input ${name} is a ${below.type}, not a ${type}`, "remove its `type`", ["type"])
    } else {
      inputs.set(name, { ...below, ...input, type })
    }
  }
  return { inputs: Object.fromEntries(inputs), problems }
}

/** What a request says about the mode; an input called `mode` means the same as `mode`. */
export interface ModeRequest {
  readonly mode?: string | undefined
  readonly inputs?: InputValues
}

/** The mode that was requested, if any. It may be given in several places if they agree. */
const requestedMode = ({ inputs, mode }: ModeRequest): Either.Either<string | undefined, UsageError> => {
  const given = [mode, inputs?.mode].flat().filter((one) => one !== undefined)
  const [first, ...others] = new Set(given.map((one) => Inspectable.toStringUnknown(one, 0)))
  return others.length === 0
    ? Either.right(first)
    : Either.left(
        new UsageError({
          reason: "usage",
          message: `the mode is given twice: ${first} and ${others.join(" and ")}`,
          hint: `give one of them: --mode ${first}`
        })
      )
}

/** The mode that a profile is provisioned by: the requested one, else the profile's, else its extension's first. */
export const find = (
  profile: Profile,
  request: ModeRequest = {}
): Effect.Effect<ProfileMode, UsageError, Extensions> =>
  Effect.gen(function* () {
    const wanted = yield* requestedMode(request)
    const { document } = profile
    if (document.extension === undefined) {
      return yield* new UsageError({
        reason: "profile",
        message: `${document.id} names no extension: other profiles extend it`,
        hint: "`sandboxer profile list` shows the profiles that you can use"
      })
    }
    const extensions = yield* Extensions
    const extension = yield* Effect.mapError(extensions.get(document.extension), ({ hint, message }) =>
      profileError(profile, ["extension"], message, hint)
    )
    const modes = Object.keys(extension.modes)
    const name = wanted ?? document.mode ?? modes[0] ?? ""
    const mode = Object.hasOwn(extension.modes, name) ? extension.modes[name] : undefined
    if (mode === undefined) {
      const message = `${extension.id} has no mode ${name}`
      const hint = didYouMean(name, modes, `its modes are: ${modes.join(", ")}`)
      return yield* wanted === undefined
        ? profileError(profile, ["mode"], message, hint)
        : new UsageError({ reason: "usage", message, hint })
    }
    const elsewhere = inputsElsewhere(extension, name, mode.inputs)
    const own = name === (document.mode ?? modes[0])
    return { extension, name, mode, elsewhere, ...narrow(profile, extension, mode.inputs, elsewhere, own) }
  })

/** An input and its sources, the most general first: an extension's id, or a profile's id and file. */
export interface ExplainedInput {
  readonly name: string
  readonly declaration: InputDeclaration
  readonly from: ReadonlyArray<{ readonly id: string; readonly file: string | null }>
}

/** All inputs of a profile in a mode. */
export const explain = (
  profile: Profile,
  { extension, inputs, mode }: ProfileMode
): ReadonlyArray<ExplainedInput> =>
  Object.entries(inputs).map(([name, declaration]) => ({
    name,
    declaration,
    from: [
      ...(Object.hasOwn(mode.inputs, name) ? [{ id: extension.id, file: null }] : []),
      ...profile
        .saidBy(["inputs", name])
        .toReversed()
        .map(({ id, location }) => ({ id, file: location.file }))
    ]
  }))
